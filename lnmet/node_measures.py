"""What radiologists measure of a lymph node: its short axis, and the organ it lies at."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from core.preprocess.crop import bounding_box, crop
from core.volume import Volume
from lnmet.config import ORGANS


class Nearest(NamedTuple):
    """Organ or vessel that a point is nearest to, and the distance from its surface in mm."""

    organ: str
    distance_mm: float


def short_axis_mm(mask: Bool[np.ndarray, "d h w"], spacing_mm: Sequence[float]) -> float:
    """Short axis of a node as RECIST 1.1 has it, in mm.

    In the axial slice with the largest area, the width across the longest diameter. Both are
    distances of the outermost centers of voxels, and a voxel more, which fills a disk up to its
    border.

    Args:
      mask: of one node, (z, y, x); at least one voxel.
      spacing_mm: of the voxels by axis.

    Source: Eisenhauer et al. 2009, Eur J Cancer 45.
    """
    slice_ = mask[mask.sum(axis=(1, 2)).argmax()]
    centers = np.argwhere(_border(slice_)) * np.asarray(spacing_mm[1:])
    distances = cdist(centers, centers)
    first, last = np.unravel_index(distances.argmax(), distances.shape)
    y, x = centers[last] - centers[first]
    length = np.hypot(y, x)
    across = centers @ (np.array([-x, y]) / length) if length else np.zeros(1)
    return float(np.ptp(across) + np.mean(spacing_mm[1:]))


def nearest_organs(
    centers_mm: Float[np.ndarray, "n 3"], organs: UInt8[np.ndarray, "d h w"], grid: Volume
) -> list[Nearest] | None:
    """Organ or vessel that each point is nearest to; None where there is none at all.

    A surface is the centers of an organ's outermost voxels. Inside an organ the distance to its
    own surface counts, negative.

    Args:
      centers_mm: points (x, y, z), LPS.
      organs: ids 1 … 10.
      grid: that they lie on.
    """
    box = bounding_box(organs > 0)
    if box is None:
        return None
    near = crop(organs, box)
    voxels = np.argwhere(_surface(near))
    ids = near[tuple(voxels.T)]
    spacing = np.asarray(grid.spacing_mm)
    trees = {id_: KDTree((voxels[ids == id_] + box.start) * spacing) for id_ in np.unique(ids)}
    at = _index(centers_mm, grid)
    answers = []
    for place, voxel in zip(at * spacing, np.rint(at).astype(int), strict=True):
        inside = _at(organs, voxel)
        candidates = [inside] if inside else list(trees)
        distances = [float(trees[id_].query(place)[0]) for id_ in candidates]
        organ = ORGANS[candidates[int(np.argmin(distances))] - 1]
        answers.append(Nearest(organ, -min(distances) if inside else min(distances)))
    return answers


def _border(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    return _surface(mask[None].astype(np.uint8))[0]


def _surface(ids: UInt8[np.ndarray, "d h w"]) -> Bool[np.ndarray, "d h w"]:
    """Voxels of an id one of whose neighbors by a face has another, or lies outside."""
    padded, differs = np.pad(ids, 1), np.zeros(ids.shape, bool)
    for axis in range(3):
        for step in (0, 2):
            at = [slice(1, -1)] * 3
            at[axis] = slice(step, step + ids.shape[axis])
            differs |= padded[tuple(at)] != ids
    return differs & (ids > 0)


def _index(points_mm: Float[np.ndarray, "n 3"], grid: Volume) -> Float[np.ndarray, "n 3"]:
    """Points as (d, h, w), in voxels."""
    homogeneous = np.column_stack([points_mm, np.ones(len(points_mm))])
    return (homogeneous @ np.linalg.inv(grid.affine_lps).T)[:, :3]


def _at(organs: UInt8[np.ndarray, "d h w"], voxel: Int[np.ndarray, "3"]) -> int:
    return int(organs[tuple(np.clip(voxel, 0, np.subtract(organs.shape, 1)))])
