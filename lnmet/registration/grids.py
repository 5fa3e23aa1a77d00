"""The grid on which two phases are registered: coarser, isotropic, around the body in common. Host.

It runs along the axes of the fixed (venous) scan, so that a field on it is one on the scan's own
grid, stretched.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from core.postprocess.components import keep_large
from core.preprocess.crop import Box
from core.volume import Volume


class Grid(NamedTuple):
    """Voxels spread evenly over a scan, and perhaps beyond.

    Args:
      start: place of its first voxel along each axis, in voxels of the scan.
      step: from one voxel to the next, in voxels of the scan.
      shape: number of voxels.
    """

    start: Float[np.ndarray, "3"]
    step: Float[np.ndarray, "3"]
    shape: tuple[int, ...]

    def affine(self) -> Float[np.ndarray, "4 4"]:
        """From a voxel of the grid to one of the scan."""
        affine = np.diag([*self.step, 1.0])
        affine[:3, 3] = self.start
        return affine


def isotropic(scan: Volume, spacing_mm: float) -> Grid:
    """Grid of cubes that fill a scan; edges coincide at the near ends."""
    step = spacing_mm / np.asarray(scan.spacing_mm)
    shape = tuple(max(1, round(n / s)) for n, s in zip(scan.shape, step, strict=True))
    return Grid(0.5 * step - 0.5, step, shape)


def part(grid: Grid, box: Box) -> Grid:
    """Grid of a box of another one's voxels; the box may reach beyond it."""
    return Grid(grid.start + grid.step * box.start, grid.step, box.shape)


def in_multiples(box: Box, multiple: int) -> Box:
    """Box widened to a multiple of voxels along each axis, half of it before and half after.

    It may reach beyond the grid. Few shapes are so made of many, and programs compiled for few.
    """
    missing = [-n % multiple for n in box.shape]
    start = tuple(a - m // 2 for a, m in zip(box.start, missing, strict=True))
    stop = tuple(a + n + m for a, n, m in zip(start, box.shape, missing, strict=True))
    return Box(start, stop)


def between(target: Volume, grid: Grid, source: Volume) -> Float[np.ndarray, "4 4"]:
    """Matrix from voxels of a grid on one scan, through the patient, to voxels of another scan."""
    return np.linalg.inv(source.affine_lps) @ target.affine_lps @ grid.affine()


def resample(
    volume: Volume, matrix: Float[np.ndarray, "4 4"], shape: tuple[int, ...], spacing_mm: float
) -> Float[np.ndarray, "d h w"]:
    """Scan on another grid, trilinear; beyond its border it goes on as at the border.

    Where voxels of the scan are smaller than those of the grid they are averaged first, by a
    Gaussian as wide as a voxel of the grid: its variance and the scan's voxel's, l² / 12, add up.

    Args:
      volume: the scan.
      matrix: from voxels of the grid to those of the scan, of `between`.
      shape: of the grid.
      spacing_mm: of the grid.
    """
    ratio = spacing_mm / np.asarray(volume.spacing_mm)
    sigma = np.sqrt(np.maximum(ratio**2 - 1, 0) / 12)
    smooth = ndimage.gaussian_filter(volume.array.astype(np.float32), sigma, mode="nearest")
    return ndimage.affine_transform(
        smooth,
        matrix[:3, :3],
        matrix[:3, 3],  # pyright: ignore[reportArgumentType]
        shape,
        order=1,
        mode="nearest",
    )


def covered(
    matrix: Float[np.ndarray, "4 4"], shape: tuple[int, ...], by: Volume
) -> Bool[np.ndarray, "d h w"]:
    """Voxels of a grid that lie in a scan: no further than half a voxel beyond its outermost."""
    inside = np.ones(shape, bool)
    z, y, x = np.indices(shape, np.float32, sparse=True)
    for (a, b, c, offset), size in zip(matrix[:3].astype(np.float32), by.shape, strict=True):
        place = a * z + b * y + c * x + offset
        inside &= (place >= -0.5) & (place <= size - 0.5)
    return inside


def body(hu: np.ndarray, threshold_hu: float) -> Bool[np.ndarray, "d h w"]:
    """The patient: the largest connected part above a threshold, without the couch beside it."""
    return keep_large(hu > threshold_hu, 1.0, neighbors=6)


def to_scan(
    field: Float[np.ndarray, "3 d h w"], grid: Grid, shape: tuple[int, ...]
) -> Float[np.ndarray, "3 i j k"]:
    """Field on a grid as one of the scan, in its voxels; beyond the grid it goes on as there."""
    full = np.empty((3, *shape), np.float32)
    for out, component, step in zip(full, field, grid.step, strict=True):
        for axis in (2, 1, 0):
            component = _stretched(component, axis, grid, shape[axis])
        np.multiply(component, np.float32(step), out=out)
    return full


def _stretched(values: np.ndarray, axis: int, grid: Grid, size: int) -> np.ndarray:
    """Values of a grid at the voxels of the scan along one axis, linear."""
    last = values.shape[axis] - 1
    at = np.clip((np.arange(size) - grid.start[axis]) / grid.step[axis], 0, last)
    below = np.minimum(at.astype(int), max(last - 1, 0))
    share = (at - below).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    low, high = values.take(below, axis), values.take(np.minimum(below + 1, last), axis)
    return low + share * (high - low)
