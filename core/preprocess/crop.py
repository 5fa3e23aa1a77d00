"""Boxes of voxels: cut one out, put it back; pad a small scan, and cut it back.

`uncrop` inverts `crop`; `crop` with the box that `pad_to` returns inverts `pad_to`. The leading
axes are spatial, so a label (d, h, w) and its probabilities (d, h, w, c) share one box.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Box(NamedTuple):
    """Half-open box of voxels: `start[a] <= index < stop[a]` along axis a."""

    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def slices(self) -> tuple[slice, ...]:
        """Slices that cut the box out of the leading axes of an array."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))


def bounding_box(mask: NDArray) -> Box | None:
    """Smallest box that holds every true voxel.

    Args:
      mask: bool (d, h, w).

    Returns:
      The box, or None where the mask is empty.
    """
    start, stop = [], []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        (filled,) = np.nonzero(mask.any(axis=others))
        if filled.size == 0:
            return None
        start.append(int(filled[0]))
        stop.append(int(filled[-1]) + 1)
        # The next axes only look at what is left: the first cut takes most of a scan away.
        mask = mask[(slice(None),) * axis + (slice(start[-1], stop[-1]),)]
    return Box(tuple(start), tuple(stop))


def grow(box: Box, margin: int | Sequence[int], shape: Sequence[int]) -> Box:
    """Widen a box by `margin` voxels on every side, as far as the volume reaches.

    Args:
      box: inside the volume.
      margin: voxels, of all axes or of each.
      shape: the volume's spatial shape.

    Returns:
      The wider box: start 10, stop 20, margin 32 in an axis of 50 becomes start 0, stop 50.
    """
    margins = [margin] * len(box.start) if isinstance(margin, int) else margin
    if min(margins) < 0:
        raise ValueError(f"margin must not be negative; got {margin}")
    start = tuple(max(0, a - m) for a, m in zip(box.start, margins, strict=True))
    stop = tuple(min(n, b + m) for b, m, n in zip(box.stop, margins, shape, strict=True))
    return Box(start, stop)


def intersect(a: Box, b: Box) -> Box:
    """Largest box inside both of two boxes that overlap: 0 … 10 and 4 … 20 give 4 … 10."""
    box = Box(tuple(map(max, a.start, b.start)), tuple(map(min, a.stop, b.stop)))
    if any(n <= 0 for n in box.shape):
        raise ValueError(f"{a} and {b} do not overlap")
    return box


def crop(array: NDArray, box: Box) -> NDArray:
    """Cut a box out of an array.

    Args:
      array: (d, h, w) or (d, h, w, c).
      box: inside the array.

    Returns:
      A view of the box's shape.

    Raises:
      ValueError: if the box does not lie inside the array.
    """
    _check_inside(box, array.shape[: len(box.start)])
    return array[box.slices]


def uncrop(array: NDArray, box: Box, shape: Sequence[int], fill: float) -> NDArray:
    """Put a cropped array back into a volume: the inverse of `crop`.

    Args:
      array: (d, h, w) or (d, h, w, c), as large as the box.
      box: where it was cut from.
      shape: the volume's spatial shape.
      fill: value outside the box.

    Returns:
      The volume; same dtype.

    Raises:
      ValueError: if the box does not lie inside `shape`, or the array is not as large as it.
    """
    num_axes = len(box.start)
    _check_inside(box, shape)
    if array.shape[:num_axes] != box.shape:
        raise ValueError(f"array {array.shape} is not as large as its box {box.shape}")
    volume = np.full((*shape, *array.shape[num_axes:]), fill, array.dtype)
    volume[box.slices] = array
    return volume


def pad_to(array: NDArray, shape: Sequence[int], fill: float) -> tuple[NDArray, Box]:
    """Pad to at least `shape`, half of it before and half after; a large array stays as it is.

    An axis of 61 padded to 64 gets 1 before and 2 after.

    Args:
      array: (d, h, w) or (d, h, w, c).
      shape: wanted at least, one number per spatial axis.
      fill: value of the padding.

    Returns:
      The padded array, and the box where the original lies: `crop(padded, box)` gives it back.
    """
    sizes = array.shape[: len(shape)]
    missing = [max(0, wanted - size) for wanted, size in zip(shape, sizes, strict=True)]
    start = tuple(m // 2 for m in missing)
    box = Box(start, tuple(a + n for a, n in zip(start, sizes, strict=True)))
    if not any(missing):
        return array, box
    padded = tuple(n + m for n, m in zip(sizes, missing, strict=True))
    return uncrop(array, box, padded, fill), box


def _check_inside(box: Box, shape: Sequence[int]) -> None:
    within = all(0 <= a <= b <= n for a, b, n in zip(box.start, box.stop, shape, strict=True))
    if not within:
        raise ValueError(f"{box} does not lie inside a volume of shape {tuple(shape)}")
