"""What the three networks say about one series, and what its slices say about the patient."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from core.volume import Volume
from fee.config import InferConfig
from fee.networks import Bundle

SLICES_AT_ONCE = 64
"""Slices whose probability maps are in memory together: 67 MB at 512 × 512."""
MAJORITY = 0.5
"""Share of the slices that a vote needs; a tie is a tumor, since a miss weighs more."""
NO_SLICE = "no slice shows a pancreas: called normal"
NO_PANCREAS = "no pancreas is segmented in any of the located slices: called normal"


class SeriesPrediction(NamedTuple):
    """Answers about the slices of a series."""

    pancreas_prob: Float[np.ndarray, " d"]
    """Probability that a slice shows the pancreas."""
    located: Int[np.ndarray, " l"]
    """Indices of the slices that do."""
    mask: UInt8[np.ndarray, "d s s"]
    """1 in the pancreas; 0 in slices that are not located."""
    voting: Int[np.ndarray, " k"]
    """Indices of the located slices in which some pancreas is segmented."""
    tumor_prob: Float[np.ndarray, " k"]
    """Probability that a voting slice is one of a tumor."""


class Decision(NamedTuple):
    """What is said about a patient."""

    decision: Literal["tumor", "normal"]
    score: float
    """In [0, 1]; higher means more likely a tumor."""
    note: str
    """What a reader must know about it; mostly empty."""


class ExplainedSlice(NamedTuple):
    """A slice that may have decided, with all that a picture of it needs."""

    series: str
    index: int
    prob: float
    image: UInt8[np.ndarray, "s s"]
    mask: UInt8[np.ndarray, "s s"]
    pixel_mm: tuple[float, float]
    center_mm: tuple[float, float, float]
    """LPS point in the middle of the pancreas."""


class Stopwatch(dict[str, float]):
    """Seconds by stage; stages may be entered again."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the block takes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self[name] = self.get(name, 0.0) + time.perf_counter() - start


def predict_series(
    image: UInt8[np.ndarray, "d s s"], bundle: Bundle, watch: Stopwatch
) -> SeriesPrediction:
    """Locate, segment what was located, and diagnose what was segmented (Fig. 3).

    A located slice without any segmented pancreas is all black after fusion: it is not diagnosed.

    Args:
      image: all slices of a series.
      bundle: the networks.
      watch: gets the seconds of each.
    """
    with watch.stage("locate"):
        pancreas_prob = bundle.locate(image, None)
    located = np.flatnonzero(pancreas_prob >= bundle.cfgs["locate"].infer.threshold)
    mask, threshold = np.zeros_like(image), bundle.cfgs["segment"].infer.threshold
    with watch.stage("segment"):
        for part in np.split(located, range(SLICES_AT_ONCE, len(located), SLICES_AT_ONCE)):
            mask[part] = bundle.segment(image[part], None) >= threshold
    voting = located[mask[located].any(axis=(1, 2))]
    with watch.stage("diagnose"):
        tumor_prob = bundle.diagnose(image[voting], mask[voting])
    return SeriesPrediction(pancreas_prob, located, mask, voting, tumor_prob)


def decide(probs: Float[np.ndarray, " n"], cfg: InferConfig, *, num_located: int) -> Decision:
    """Decide about one patient (Not stated in the paper).

    By "mean" the score is the mean probability, compared with the threshold; by "vote" it is the
    share of the slices at or above the threshold, compared with one half.

    Args:
      probs: tumor probability of every slice with segmented pancreas, of all phases together.
      cfg: rule and threshold.
      num_located: slices that show the pancreas, segmented or not.

    Returns:
      The decision; without any slice it is "normal" with score 0, and the note says why.
    """
    if not probs.size:
        return Decision("normal", 0.0, NO_PANCREAS if num_located else NO_SLICE)
    if cfg.rule == "mean":
        score, threshold = float(probs.mean(dtype=np.float64)), cfg.threshold
    else:
        score, threshold = float((probs >= cfg.threshold).mean()), MAJORITY
    return Decision("tumor" if score >= threshold else "normal", score, "")


def most_telling(probs: Float[np.ndarray, " n"], decision: str, num: int) -> Int[np.ndarray, " k"]:
    """Indices of the slices that spoke most for a decision, the strongest first.

    Args:
      probs: tumor probability of slices.
      decision: "tumor" or "normal".
      num: at most so many.
    """
    strength = probs if decision == "tumor" else 1 - probs
    return np.argsort(-strength, kind="stable")[:num]


def candidates(
    series: str,
    image: UInt8[np.ndarray, "d s s"],
    predicted: SeriesPrediction,
    *,
    volume: Volume,
    num: int,
) -> list[ExplainedSlice]:
    """Slices that speak most for either answer: the decision is not known before the last series.

    Args:
      series: name of the series.
      image: its slices.
      predicted: what the networks say.
      volume: canonical CT that the slices are of.
      num: of each side, at most.
    """
    probs = predicted.tumor_prob
    strongest = {int(i) for side in ("tumor", "normal") for i in most_telling(probs, side, num)}
    return [
        ExplainedSlice(
            series,
            d := int(predicted.voting[i]),
            float(probs[i]),
            image[d],
            predicted.mask[d],
            _pixel_mm(volume, image.shape[1:]),
            _center_mm(volume, d, predicted.mask[d]),
        )
        for i in sorted(strongest)
    ]


def _pixel_mm(volume: Volume, size: tuple[int, ...]) -> tuple[float, float]:
    """Height and width of a pixel of slices of that size."""
    _, rows, columns = volume.shape
    _, height, width = volume.spacing_mm
    return height * rows / size[0], width * columns / size[1]


def _center_mm(
    volume: Volume, index: int, mask: UInt8[np.ndarray, "s s"]
) -> tuple[float, float, float]:
    """LPS point in the middle of the mask of a slice, which lies on pixels of its own."""
    shares = [
        (pixels.mean() + 0.5) / size
        for pixels, size in zip(np.nonzero(mask), mask.shape, strict=True)
    ]
    h, w = (share * n - 0.5 for share, n in zip(shares, volume.shape[1:], strict=True))
    x, y, z = (volume.affine_lps @ [index, h, w, 1.0])[:3].tolist()
    return x, y, z
