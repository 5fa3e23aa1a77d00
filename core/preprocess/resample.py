"""Volumes at another spacing, as nnU-Net resamples them: images cubic, labels per class.

A voxel is a block, so the edges of the grids coincide, not the centers of their first voxels; what
lies beyond the outermost centers is the outermost voxel. Where one axis is much coarser than the
others nothing is interpolated across it: slices are resampled one by one, and the nearest is taken.
Source: Isensee et al. 2021, Supplementary Note 2, and nnU-Net 2.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Integer, Real
from scipy import ndimage

Shape = tuple[int, int, int]

TIE = 1e-5
"""Lead of the nearest voxel in share of a voxel: more than rounding, less than shares differ by."""
ANISOTROPIC = 3.0
"""A spacing that exceeds another by more makes its axis one of its own."""


def shape_at(
    shape: Sequence[int], spacing_mm: Sequence[float], new_spacing_mm: Sequence[float]
) -> Shape:
    """Voxels that cover the same volume at another spacing, rounded."""
    # Divided first, as nnU-Net does: one axis of 2000 is half a voxel by a hair, and rounds so.
    depth, height, width = (
        max(1, round(old / new * n))
        for n, old, new in zip(shape, spacing_mm, new_spacing_mm, strict=True)
    )
    return depth, height, width


def coarse_axis(spacing_mm: Sequence[float], new_spacing_mm: Sequence[float]) -> int | None:
    """Axis across which nothing is interpolated, or None.

    The coarsest of the old spacing where that is anisotropic, else of the new one; none where two
    axes are equally coarse.
    """
    for spacing in (spacing_mm, new_spacing_mm):
        if max(spacing) / min(spacing) > ANISOTROPIC:
            axes = [axis for axis, mm in enumerate(spacing) if mm == max(spacing)]
            return axes[0] if len(axes) == 1 else None
    return None


def resample_image(
    image: Real[np.ndarray, "d h w"], shape: Shape, *, axis: int | None = None
) -> Float[np.ndarray, "e i j"]:
    """Image on another grid by cubic splines, clipped to the range of its values (of its slices).

    Args:
      image: one channel.
      shape: of the result.
      axis: of `coarse_axis`.

    Returns:
      float32.
    """
    if axis is None:
        resampled = _zoom(image, shape)
    else:
        in_plane = [n for a, n in enumerate(shape) if a != axis]
        slices = [_zoom(plane, in_plane) for plane in np.moveaxis(image, axis, 0)]
        nearest = _nearest(len(slices), shape[axis])
        resampled = np.stack([slices[n] for n in nearest], axis=axis)
    return resampled


def resample_label(
    label: Integer[np.ndarray, "d h w"], shape: Shape, *, axis: int | None = None
) -> Integer[np.ndarray, "e i j"]:
    """Label map on another grid: a voxel gets the id that covers most of it, linearly interpolated.

    Where two ids cover it alike, it gets that of the nearest voxel.

    Args:
      label: ids.
      shape: of the result.
      axis: of `coarse_axis`.
    """
    if label.shape == tuple(shape):
        return label.copy()
    sizes = list(zip(label.shape, shape, strict=True))
    weights = [
        nearest_weights(*n) if a == axis else linear_weights(*n) for a, n in enumerate(sizes)
    ]
    nearest = label[np.ix_(*(_nearest(*n) for n in sizes))]
    resampled, most = np.zeros(shape, label.dtype), np.full(shape, -1, np.float32)
    for id_ in np.unique(label):
        mask = label == id_
        reach, parts = _reach(mask, weights)
        covered = interpolate(mask[reach[0]].astype(np.float32), parts)
        # Beyond the rounding of three sums, below any other difference of shares.
        covered += np.float32(TIE) * (nearest[reach[1]] == id_)
        is_more = covered > most[reach[1]]
        resampled[reach[1]][is_more], most[reach[1]][is_more] = id_, covered[is_more]
    return resampled


def _reach(
    mask: Bool[np.ndarray, "d h w"], weights: Sequence[Float[np.ndarray, "_ _"]]
) -> tuple[tuple[tuple[slice, ...], tuple[slice, ...]], list[Float[np.ndarray, "_ _"]]]:
    """Box of a mask on the old grid and what it reaches on the new one; weights between the two."""
    old, new, parts = [], [], []
    for axis, matrix in enumerate(weights):
        inside = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        rows = np.flatnonzero(matrix[:, inside].any(axis=1))
        old.append(slice(inside[0], inside[-1] + 1))
        new.append(slice(rows[0], rows[-1] + 1) if rows.size else slice(0, 0))
        parts.append(matrix[new[-1], old[-1]])
    return (tuple(old), tuple(new)), parts


def interpolate(
    values: Float[np.ndarray, "d h w"], weights: Sequence[Float[np.ndarray, "_ _"]]
) -> Float[np.ndarray, "e i j"]:
    """Values times a matrix (new, old) along each axis."""
    for axis, matrix in enumerate(weights):
        values = np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)
    return values


def linear_weights(num: int, new_num: int) -> Float[np.ndarray, "new old"]:
    """Matrix that interpolates an axis of `num` voxels linearly at `new_num` places."""
    at = np.clip(_places(num, new_num), 0, num - 1)
    lower = np.minimum(at.astype(int), max(num - 2, 0))
    share = at - lower
    matrix = np.zeros((new_num, num), np.float32)
    rows = np.arange(new_num)
    matrix[rows, lower] = 1 - share
    matrix[rows, np.minimum(lower + 1, num - 1)] += share
    return matrix


def nearest_weights(num: int, new_num: int) -> Float[np.ndarray, "new old"]:
    """Matrix that takes the nearest voxel."""
    return np.eye(num, dtype=np.float32)[_nearest(num, new_num)]


def _nearest(num: int, new_num: int) -> np.ndarray:
    return np.clip(np.floor(_places(num, new_num) + 0.5).astype(int), 0, num - 1)


def _places(num: int, new_num: int) -> Float[np.ndarray, "new"]:
    """Centers of the new voxels, counted in old ones."""
    return (np.arange(new_num) + 0.5) * (num / new_num) - 0.5


def _zoom(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """By cubic splines, in float32. Whole HU are zoomed as they are: no float copy of a scan."""
    if array.shape == tuple(shape):
        return array.astype(np.float32)
    zoomed = np.empty(shape, np.float32)
    factors = [new / old for old, new in zip(array.shape, shape, strict=True)]
    ndimage.zoom(array, factors, zoomed, order=3, mode="nearest", grid_mode=True)
    return np.clip(zoomed, array.min(), array.max(), out=zoomed)
