"""Lymph nodes as objects: components of a mask, with their volume and how sure they are."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int32

from core.metrics.instances import instances
from core.volume import Volume


class FoundNode(NamedTuple):
    """One node of a segmentation.

    Args:
      id: from 1, as `core.metrics.instances` numbers the mask.
      volume_mm3: of its voxels.
      center_mm: centroid (x, y, z), LPS.
      score: mean probability of its voxels.
    """

    id: int
    volume_mm3: float
    center_mm: tuple[float, float, float]
    score: float


def find_nodes(
    probability: Float[np.ndarray, "d h w"],
    grid: Volume,
    *,
    threshold: float,
    min_mm3: float,
) -> tuple[Bool[np.ndarray, "d h w"], list[FoundNode]]:
    """Mask of the nodes, and each of them.

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
    return ids > 0, _described(ids, probability, grid)


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
    rows = zip(counts * grid.voxel_mm3, centers, scores, strict=True)
    return [
        FoundNode(i, float(volume), tuple(center), float(score))
        for i, (volume, center, score) in enumerate(rows, start=1)
    ]
