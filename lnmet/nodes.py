"""Lymph nodes as objects: components of a mask, with their volume and how sure they are."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt32

from core.postprocess.components import components
from core.volume import Volume


class FoundNode(NamedTuple):
    """One node of a segmentation.

    Args:
      id: from 1, in the order of the volume's voxels.
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
    ids, sizes = components(probability >= threshold, neighbors=26)
    volumes = sizes * grid.voxel_mm3
    kept = 1 + np.flatnonzero(volumes >= min_mm3)
    renumbered = np.zeros(len(sizes) + 1, np.uint32)
    renumbered[kept] = np.arange(1, len(kept) + 1)
    ids = renumbered[ids]
    return ids > 0, _described(ids, volumes[kept - 1], probability, grid)


def _described(
    ids: UInt32[np.ndarray, "d h w"],
    volumes: Float[np.ndarray, "n"],
    probability: Float[np.ndarray, "d h w"],
    grid: Volume,
) -> list[FoundNode]:
    voxels = np.argwhere(ids)
    of = ids[ids > 0] - 1  # in the order of argwhere
    counts = np.maximum(np.bincount(of, minlength=len(volumes)), 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(of, values, minlength=len(volumes)) / counts

    scores = mean(probability[ids > 0])
    index = np.stack([mean(voxels[:, a]) for a in range(3)] + [np.ones(len(volumes))], axis=1)
    centers = (index @ grid.affine_lps.T)[:, :3].tolist()
    rows = zip(volumes.tolist(), centers, scores.tolist(), strict=True)
    return [FoundNode(i, v, tuple(center), s) for i, (v, center, s) in enumerate(rows, start=1)]
