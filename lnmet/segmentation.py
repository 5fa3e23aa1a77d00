"""One examination through the networks: organs, tumor, then nodes where attention is."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num, UInt8

from core.preprocess.crop import crop, uncrop
from core.preprocess.resample import (
    Shape,
    coarse_axis,
    resample_image,
    resample_label,
    shape_at,
)
from core.preprocess.resample_back import label_on, value_on
from core.volume import Volume
from lnmet.config import Phase, PrepareConfig
from lnmet.labels import NODE, PANCREAS, PDAC
from lnmet.networks import Segmenter, System
from lnmet.nodes import FoundNode, find_nodes
from lnmet.prepare import attention_in, organ_box


class Segmented(NamedTuple):
    """What is seen in one examination, on its own grid.

    Args:
      label: ids of `lnmet.labels`.
      nodes: those of the label.
      attention: map in [0, 1]; None where no organ is known.
    """

    label: UInt8[np.ndarray, "d h w"]
    nodes: Sequence[FoundNode]
    attention: Float[np.ndarray, "d h w"] | None


class Grids(NamedTuple):
    """Grid of an examination and that of the networks, and the ways between them."""

    own: Volume
    cfg: PrepareConfig

    @property
    def shape(self) -> Shape:
        """Voxels of the networks' grid."""
        return shape_at(self.own.shape, self.own.spacing_mm, self.cfg.spacing_mm)

    def image(self, array: Num[np.ndarray, "d h w"]) -> Float[np.ndarray, "e i j"]:
        """HU as networks see them."""
        axis = coarse_axis(self.own.spacing_mm, self.cfg.spacing_mm)
        return resample_image(array, self.shape, axis=axis)

    def label(self, array: UInt8[np.ndarray, "d h w"]) -> UInt8[np.ndarray, "e i j"]:
        """Ids as networks see them."""
        axis = coarse_axis(self.own.spacing_mm, self.cfg.spacing_mm)
        return resample_label(array, self.shape, axis=axis).astype(np.uint8)

    def label_back(self, probs: Float[np.ndarray, "e i j k"]) -> UInt8[np.ndarray, "d h w"]:
        """Most probable classes on the examination's own grid."""
        axis = coarse_axis(self.cfg.spacing_mm, self.own.spacing_mm)
        return label_on(probs, self.own.shape, axis=axis).astype(np.uint8)

    def value_back(self, values: Float[np.ndarray, "e i j"]) -> Float[np.ndarray, "d h w"]:
        """A map on the examination's own grid."""
        axis = coarse_axis(self.cfg.spacing_mm, self.own.spacing_mm)
        return value_on(np.asarray(values, np.float32), self.own.shape, axis=axis)


def segment_volumes(
    volumes: Mapping[Phase, Volume],
    system: System,
    known_organs: UInt8[np.ndarray, "d h w"] | None = None,
) -> Segmented:
    """Segment one examination.

    Args:
      volumes: canonical HU of each phase, on one grid.
      system: networks.
      known_organs: ids 1 … 10 on that grid, where no network segments them.
    """
    own = next(iter(volumes.values()))
    grids = Grids(own, next(iter(system.values())).cfg.prepare)
    hu: Mapping[Phase, np.ndarray] = {
        phase: grids.image(volume.array) for phase, volume in volumes.items()
    }
    label = np.zeros(own.shape, np.uint8) if known_organs is None else known_organs.copy()
    organs = None if known_organs is None else grids.label(known_organs)
    if segmenter := system.get("organs"):
        probs = segmenter(_channels(hu, segmenter))
        label, organs = grids.label_back(probs), probs.argmax(axis=-1).astype(np.uint8)
    if segmenter := system.get("pdac"):
        probs = segmenter(_channels(hu, segmenter))
        label[grids.label_back(probs) == 1] = PDAC
        if organs is not None:
            organs[probs.argmax(axis=-1) == 1] = PANCREAS  # the pancreas with its tumor
    nodes: list[FoundNode] = []
    if segmenter := system.get("nodes"):
        mask, nodes = _nodes(segmenter, hu, organs, grids)
        label[mask] = NODE
    attention = None if organs is None else grids.value_back(_attention(organs, grids.cfg))
    return Segmented(label, nodes, attention)


def _channels(hu: Mapping[Phase, np.ndarray], segmenter: Segmenter) -> np.ndarray:
    return np.stack([hu[phase] for phase in segmenter.phases], axis=-1)


def _attention(organs: UInt8[np.ndarray, "e i j"], cfg: PrepareConfig) -> np.ndarray:
    return attention_in(organs, organ_box(organs > 0, cfg), cfg)


def _nodes(
    segmenter: Segmenter,
    hu: Mapping[Phase, np.ndarray],
    organs: UInt8[np.ndarray, "e i j"] | None,
    grids: Grids,
) -> tuple[np.ndarray, list[FoundNode]]:
    """Mask of the nodes, and each; looked for around the organs, where these are known."""
    shape, cfg = grids.shape, segmenter.cfg
    image = _channels(hu, segmenter)
    box = organ_box(np.ones(shape, bool) if organs is None else organs > 0, cfg.prepare)
    attention = None
    if cfg.model.attention and organs is not None:
        attention = crop(attention_in(organs, box, cfg.prepare), box)
    probs = segmenter(crop(image, box), attention)
    probability = grids.value_back(uncrop(probs[..., 1], box, shape, fill=0))
    return find_nodes(
        probability, grids.own, threshold=cfg.infer.threshold, min_mm3=cfg.infer.min_node_mm3
    )
