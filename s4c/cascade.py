"""Coarse to fine: 64³ windows over the scan, then 32³ and 16³ windows where it saw a pancreas.

Sec. 2.3. The small networks never see the rest of the scan, where they would imagine tumors. Of the
PNET paper, one network looks at the whole scan, and its windows vote (PNET Sec. 2.2).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from core.datasets.pancreas import BACKGROUND, TUMOR
from core.infer.voting import Voted
from core.preprocess.crop import Box, bounding_box, crop, grow

Predict = Callable[[Float[np.ndarray, "d h w"]], Float[np.ndarray, "d h w c"]]
"""Class probabilities of a normalised image of any size, averaged over sliding windows."""
Vote = Callable[..., Voted]
"""(normalised image, body=None) → labels that most of the sliding windows give."""


class Segmentation(NamedTuple):
    """What the cascade sees in one scan, before outliers are removed."""

    label: UInt8[np.ndarray, "d h w"]
    probs: Float[np.ndarray, "d h w c"] | None
    """Of the classes; None where windows vote, and on another grid than that of the networks."""
    roi: Box | None
    """Where the fine networks looked; None if the coarse one found neither pancreas nor tumor."""
    windows: tuple[int, int] | None = None
    """Of votes: how many windows ran, of how many."""
    detections: Float[np.ndarray, "d h w"] | None = None
    """Likelihood of each lesion in its voxels, where that is asked for."""

    @property
    def tumor_prob(self) -> Float[np.ndarray, "d h w"] | None:
        """Probability of tumor, where there are probabilities."""
        return None if self.probs is None else self.probs[..., TUMOR]


def segment(
    image: Float[np.ndarray, "d h w"],
    coarse: Predict,
    fine: Sequence[Predict],
    *,
    roi_margin: int | Sequence[int],
    alone: bool = False,
    clean: Callable[[UInt8[np.ndarray, "d h w"]], UInt8[np.ndarray, "d h w"]] = lambda label: label,
) -> Segmentation:
    """Segment one scan.

    Inside the region of interest the probabilities of all networks are averaged; outside, the
    coarse network's stand alone. A coarse pass that finds nothing ends the matter: the scan is
    background throughout, hence normal.

    Args:
      image: normalised, canonical orientation.
      coarse: the 64³ network.
      fine: the 32³ and 16³ networks; none leaves the coarse result.
      roi_margin: voxels, of all axes or of each, around the smallest box of predicted pancreas and
        tumor.
      alone: inside the region the fine networks answer without the coarse one (the rows 32³ and
        16³ of Table 1).
      clean: coarse label → label that the region of interest is drawn around.

    Returns:
      Segmentation on the grid of `image`.
    """
    probs = coarse(image)
    label = clean(most_probable(probs))
    pancreas_box = bounding_box(label != BACKGROUND)
    if pancreas_box is None:
        return Segmentation(label, probs, None)
    roi = grow(pancreas_box, roi_margin, image.shape)
    inside = crop(probs, roi)
    if alone:
        inside[...] = 0
    for predict in fine:
        inside += predict(crop(image, roi))
    inside /= len(fine) + (not alone)
    crop(label, roi)[...] = most_probable(inside)
    return Segmentation(label, probs, roi)


def by_votes(
    image: Float[np.ndarray, "d h w"], vote: Vote, body: Bool[np.ndarray, "d h w"] | None = None
) -> Segmentation:
    """Segment one scan by the majority of the windows of one network (PNET Sec. 2.2).

    Args:
      image: normalised, canonical orientation.
      vote: the network.
      body: windows without a voxel of it are background; without, all windows vote.

    Returns:
      Segmentation on the grid of `image`.
    """
    voted = vote(image, body=body)
    return Segmentation(voted.label, None, None, (voted.num_run, voted.num_windows))


def most_probable(probs: Float[np.ndarray, "d h w c"]) -> UInt8[np.ndarray, "d h w"]:
    """Most probable class; the lower id where two are equal."""
    return np.argmax(probs, axis=-1).astype(np.uint8)
