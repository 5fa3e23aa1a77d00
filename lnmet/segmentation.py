"""One examination through the networks: organs, tumor, then nodes where attention is."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8

from core.datasets.channels import Phase
from core.preprocess.crop import Box, crop, uncrop
from core.preprocess.regrid import Regrid
from core.preprocess.resample import Shape
from core.volume import Volume
from lnmet.config import PrepareConfig
from lnmet.identification.infer import Identifier
from lnmet.labels import METASTATIC, NODE, PDAC, organs_of
from lnmet.networks import Segmenter, System
from lnmet.node_measures import nearest_organs
from lnmet.nodes import FoundNode, find_nodes
from lnmet.prepare import attention_in, organ_box


class Segmented(NamedTuple):
    """What is seen in one examination, on its own grid.

    Args:
      label: ids of `lnmet.labels`.
      nodes: those of the label.
      attention: map in [0, 1]; None where no organ is known.
      organs: ids 1 … 10, whatever lies over them; None where nobody tells.
      tumor: its mask, whatever lies over it; None where nobody tells.
    """

    label: UInt8[np.ndarray, "d h w"]
    nodes: Sequence[FoundNode]
    attention: Float[np.ndarray, "d h w"] | None
    organs: UInt8[np.ndarray, "d h w"] | None = None
    tumor: Bool[np.ndarray, "d h w"] | None = None


class Grids:
    """Grid of an examination and that of some networks, and the ways between them.

    Args:
      volumes: canonical HU of each phase, on one grid.
      cfg: grid of the networks.
    """

    def __init__(self, volumes: Mapping[Phase, Volume], cfg: PrepareConfig) -> None:
        self.volumes, self.cfg = volumes, cfg
        self.own = next(iter(volumes.values()))
        self._grid = Regrid(self.own.shape, self.own.spacing_mm, cfg.spacing_mm)
        self._images: dict[Phase, Float[np.ndarray, "e i j"]] = {}

    @property
    def shape(self) -> Shape:
        """Voxels of the networks' grid."""
        return self._grid.shape

    def image(self, phase: Phase) -> Float[np.ndarray, "e i j"]:
        """HU as networks see them; resampled for the first one, and kept for the others."""
        if phase not in self._images:
            self._images[phase] = self._grid.image(self.volumes[phase].array)
        return self._images[phase]

    def label(self, array: UInt8[np.ndarray, "d h w"]) -> UInt8[np.ndarray, "e i j"]:
        """Ids as networks see them."""
        return self._grid.label(array).astype(np.uint8)

    def label_back(self, probs: Float[np.ndarray, "e i j k"]) -> UInt8[np.ndarray, "d h w"]:
        """Most probable classes on the examination's own grid."""
        return self._grid.label_back(probs).astype(np.uint8)

    def value_back(self, values: Float[np.ndarray, "e i j"]) -> Float[np.ndarray, "d h w"]:
        """A map on the examination's own grid."""
        return self._grid.value_back(np.asarray(values, np.float32))


def segment_volumes(
    volumes: Mapping[Phase, Volume],
    system: System,
    known_organs: UInt8[np.ndarray, "d h w"] | None = None,
    identifier: Identifier | None = None,
    *,
    known_tumor: Bool[np.ndarray, "d h w"] | None = None,
) -> Segmented:
    """Segment one examination; each network on a grid of its own.

    Args:
      volumes: canonical HU of each phase, on one grid.
      system: networks.
      known_organs: ids 1 … 10 on that grid, where no network segments them.
      identifier: tells which of the nodes are metastatic; None, nobody does.
      known_tumor: mask on that grid, where no network segments the tumor.
    """
    own = next(iter(volumes.values()))
    networks = [*system.values(), *([identifier] if identifier else [])]
    grids = {cfg: Grids(volumes, cfg) for cfg in {n.cfg.prepare for n in networks}}
    organs = known_organs
    if segmenter := system.get("organs"):
        organs = _classes(segmenter, grids[segmenter.cfg.prepare])
    label = np.zeros(own.shape, np.uint8) if organs is None else organs.copy()
    tumor = known_tumor
    if segmenter := system.get("pdac"):
        tumor = _classes(segmenter, grids[segmenter.cfg.prepare]) == 1
    if tumor is not None:
        label[tumor] = PDAC
    attention, nodes = None, []
    if segmenter := system.get("nodes"):
        known = None if organs is None else label
        probability, attention = _nodes(segmenter, grids[segmenter.cfg.prepare], known)
        infer = segmenter.cfg.infer
        ids, nodes = find_nodes(
            probability, own, threshold=infer.threshold, min_mm3=infer.min_node_mm3
        )
        if organs is not None:
            nodes = _at_organs(nodes, organs_of(label), own)
        label[ids > 0] = NODE
        if identifier:
            nodes = identify_nodes(identifier, grids[identifier.cfg.prepare], ids, nodes)
            positive = [n.id for n in nodes if identifier.is_positive(n.probability)]
            label[np.isin(ids, positive)] = METASTATIC
    return Segmented(label, nodes, attention, organs, tumor)


def _at_organs(
    nodes: Sequence[FoundNode], organs: UInt8[np.ndarray, "d h w"], grid: Volume
) -> list[FoundNode]:
    """Nodes with the organ or vessel that is nearest to each."""
    nearest = nearest_organs(np.array([n.center_mm for n in nodes]).reshape(-1, 3), organs, grid)
    if nearest is None:
        return list(nodes)
    return [
        node._replace(organ=organ, organ_distance_mm=distance)
        for node, (organ, distance) in zip(nodes, nearest, strict=True)
    ]


def identify_nodes(
    identifier: Identifier,
    grids: Grids,
    ids: Int32[np.ndarray, "d h w"],
    nodes: Sequence[FoundNode],
) -> list[FoundNode]:
    """Nodes with their probability of being metastatic.

    Args:
      identifier: the networks.
      grids: the examination on its own grid and on theirs.
      ids: of the nodes, on its own.
      nodes: in the order of their ids.
    """
    probabilities = identifier([grids.image(phase) for phase in identifier.phases], ids)
    pairs = zip(nodes, probabilities, strict=True)
    return [node._replace(probability=float(p)) for node, p in pairs]


def _classes(segmenter: Segmenter, grids: Grids) -> UInt8[np.ndarray, "d h w"]:
    return grids.label_back(segmenter(_channels(segmenter, grids)))


def attention_around(
    organs: UInt8[np.ndarray, "d h w"], grids: Grids
) -> Float[np.ndarray, "d h w"]:
    """Attention map on the examination's own grid, computed on that of networks."""
    seen = grids.label(organs)
    return grids.value_back(attention_in(seen, organ_box(seen > 0, grids.cfg), grids.cfg))


def _nodes(
    segmenter: Segmenter, grids: Grids, label: UInt8[np.ndarray, "d h w"] | None
) -> tuple[Float[np.ndarray, "d h w"], Float[np.ndarray, "d h w"] | None]:
    """Probability of nodes, and attention; looked for around the organs, where these are known."""
    cfg, image = segmenter.cfg, _channels(segmenter, grids)
    box, attention = Box((0, 0, 0), grids.shape), None
    if label is not None:
        organs = grids.label(organs_of(label))
        box = organ_box(organs > 0, cfg.prepare)
        attention = attention_in(organs, box, cfg.prepare)
    seen = crop(attention, box) if cfg.model.attention and attention is not None else None
    probs = segmenter(crop(image, box), seen)
    probability = grids.value_back(uncrop(probs[..., 1], box, grids.shape, fill=0))
    return probability, None if attention is None else grids.value_back(attention)


def _channels(segmenter: Segmenter, grids: Grids) -> Float[np.ndarray, "d h w c"]:
    return np.stack([grids.image(phase) for phase in segmenter.phases], axis=-1)
