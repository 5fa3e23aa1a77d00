"""Lymph nodes as objects: components of a mask, with their volume and how sure they are."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8
from scipy import ndimage

from core.data.patches import middle_voxel
from core.metrics.instances import instances
from core.volume import Volume
from lnmet.labels import METASTATIC, NODE
from lnmet.node_measures import short_axis_mm


class FoundNode(NamedTuple):
    """One node of a segmentation.

    Args:
      id: from 1, as `core.metrics.instances` numbers the mask.
      volume_mm3: of its voxels.
      center_mm: centroid (x, y, z), LPS.
      score: mean probability of its voxels, that they are of a node.
      short_axis_mm: of `lnmet.node_measures.short_axis_mm`.
      organ: nearest organ or vessel; None where none is known.
      organ_distance_mm: from its surface to the node's middle, negative inside.
      probability: that it is metastatic; None where no network tells.
    """

    id: int
    volume_mm3: float
    center_mm: tuple[float, float, float]
    score: float
    short_axis_mm: float
    organ: str | None = None
    organ_distance_mm: float | None = None
    probability: float | None = None


def find_nodes(
    probability: Float[np.ndarray, "d h w"],
    grid: Volume,
    *,
    threshold: float,
    min_mm3: float,
) -> tuple[Int32[np.ndarray, "d h w"], list[FoundNode]]:
    """Ids of the nodes, 0 elsewhere, and each of them.

    Voxels that touch by a corner belong to one node: small and compact, nodes fall apart otherwise.

    Args:
      probability: of a node.
      grid: that it lies on.
      threshold: least probability of a voxel.
      min_mm3: smaller components are dropped.
    """
    # A little less than a whole number of voxels is that number.
    min_voxels = max(1, math.ceil(min_mm3 / grid.voxel_mm3 - 1e-6))
    ids = instances(probability >= threshold, min_voxels=min_voxels)
    return ids, _described(ids, probability, grid)


def _described(
    ids: Int32[np.ndarray, "d h w"], probability: Float[np.ndarray, "d h w"], grid: Volume
) -> list[FoundNode]:
    voxels, of = np.argwhere(ids), ids[ids > 0] - 1  # in one order
    counts = np.bincount(of)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(of, values) / counts

    scores = mean(probability[ids > 0])
    index = np.stack([*(mean(voxels[:, axis]) for axis in range(3)), np.ones(len(counts))], axis=1)
    centers = (index @ grid.affine_lps.T)[:, :3].tolist()
    boxes = ndimage.find_objects(ids)
    axes = [short_axis_mm(ids[b] == i, grid.spacing_mm) for i, b in enumerate(boxes, start=1)]
    rows = zip(counts * grid.voxel_mm3, centers, scores, axes, strict=True)
    return [
        FoundNode(i, float(volume), tuple(center), float(score), axis)
        for i, (volume, center, score, axis) in enumerate(rows, start=1)
    ]


def by_suspicion(nodes: Iterable[FoundNode]) -> list[FoundNode]:
    """The most probably metastatic first; where nobody tells, the surest to be a node."""

    def rank(node: FoundNode) -> tuple[float, float]:
        probability = node.score if node.probability is None else node.probability
        return -probability, -node.volume_mm3

    return sorted(nodes, key=rank)


class AnnotatedNodes(NamedTuple):
    """Nodes of a label map, those without metastasis first.

    Args:
      ids: 1 … n, 0 elsewhere.
      is_metastatic: (n,) in the order of the ids.
    """

    ids: Int32[np.ndarray, "d h w"]
    is_metastatic: Bool[np.ndarray, "n"]


def annotated(label: UInt8[np.ndarray, "d h w"]) -> AnnotatedNodes:
    """Nodes of either kind, told apart from each other even where they touch."""
    others, metastatic = (instances(label == id_, min_voxels=1) for id_ in (NODE, METASTATIC))
    num = int(others.max(initial=0))
    ids = np.where(metastatic > 0, metastatic + num, others).astype(np.int32)
    return AnnotatedNodes(ids, np.arange(1, ids.max(initial=0) + 1) > num)


def annotated_nodes(label: UInt8[np.ndarray, "d h w"]) -> Int32[np.ndarray, "n 5"]:
    """Nodes of a label map: whether metastatic, index (d, h, w) of a voxel, number of voxels.

    The voxel is the node's own that is nearest to its center.
    """
    ids, is_metastatic = annotated(label)
    rows = [np.empty((0, 5), np.int64)]
    for node, (box, kind) in enumerate(
        zip(ndimage.find_objects(ids), is_metastatic, strict=True), start=1
    ):
        voxels = np.argwhere(ids[box] == node) + [part.start for part in box]
        rows.append(np.array([[kind, *middle_voxel(voxels), len(voxels)]]))
    return np.concatenate(rows).astype(np.int32)


def node_at(mask: Bool[np.ndarray, "d h w"], voxel: Sequence[int]) -> Bool[np.ndarray, "d h w"]:
    """The component of a mask that a voxel belongs to.

    Raises:
      ValueError: the voxel is not in the mask.
    """
    ids = instances(mask, min_voxels=1)
    if not (node := ids[tuple(voxel)]):
        raise ValueError(f"voxel {tuple(voxel)} is not in the mask")
    return ids == node
