"""Index maths of patches: where one starts, and how it is cut out of a scan.

A start may be negative or reach past the end where a scan is smaller than a patch: `extract` fills
what lies outside. Along one axis of a scan of 100 voxels with a patch of 64, starts run from 0 to
36; a scan of 61 has the single start −1, so that 1 voxel of filling comes before and 2 after, as in
`core.preprocess.crop.pad_to`.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.data.cache import Stored
from core.preprocess.crop import Box

Start = tuple[int, ...]


def random_start(rng: np.random.Generator, shape: Sequence[int], patch: Sequence[int]) -> Start:
    """Uniform among the starts of patches that lie inside the scan.

    Args:
      rng: host generator.
      shape: the scan's (d, h, w).
      patch: the patch's (d, h, w).

    Returns:
      Start (d, h, w). Scan 100, patch 64: 0 … 36, both included.
    """
    return _clamp(rng.integers(0, np.maximum(np.subtract(shape, patch), 0) + 1), shape, patch)


def random_start_in(rng: np.random.Generator, box: Box, patch: Sequence[int]) -> Start:
    """Uniform among the starts of patches that lie inside a box.

    Args:
      rng: host generator.
      box: region of interest.
      patch: the patch's (d, h, w).

    Returns:
      Start (d, h, w) in the scan. Box 40 … 140, patch 64: 40 … 76.
    """
    inside = random_start(rng, box.shape, patch)
    return tuple(a + b for a, b in zip(box.start, inside, strict=True))


def centered_start(
    voxel: Sequence[int] | NDArray, shape: Sequence[int], patch: Sequence[int]
) -> Start:
    """Start of the patch that has `voxel` at its centre, moved inside the scan where it sticks out.

    Args:
      voxel: (d, h, w) in the scan.
      shape: the scan's (d, h, w).
      patch: the patch's (d, h, w).

    Returns:
      Start (d, h, w). Patch 64 around voxel 50: 50 − 32 = 18. Around voxel 90 of 100: 58 → 36.
    """
    return _clamp(np.subtract(voxel, np.floor_divide(patch, 2)), shape, patch)


def middle_voxel(voxels: NDArray[np.integer]) -> NDArray[np.integer]:
    """The one of some voxels (n, 3) that is nearest to their mean, along the axes: inside."""
    return voxels[np.abs(voxels - voxels.mean(axis=0)).sum(axis=1).argmin()]


def extract(
    array: Stored, start: Sequence[int], patch: Sequence[int], fill: float | NDArray
) -> NDArray:
    """Copy of a patch; what lies outside the scan is filled.

    Args:
      array: (d, h, w) or (d, h, w, c), memory-mapped or not.
      start: (d, h, w), may lie outside.
      patch: the patch's (d, h, w).
      fill: value outside the scan, or one for each channel.

    Returns:
      (*patch) or (*patch, c), same dtype. Start −1, patch 64, scan 61: out[1:62] = array[0:61].
    """
    sizes = array.shape[: len(patch)]
    source, target = [], []
    for a, p, n in zip(start, patch, sizes, strict=True):
        low, high = min(max(a, 0), n), max(min(a + p, n), 0)
        source.append(slice(low, max(low, high)))
        target.append(slice(low - a, max(low, high) - a))
    inside = array[tuple(source)]
    if inside.shape[: len(patch)] == tuple(patch):
        return np.array(inside)
    out = np.full((*patch, *array.shape[len(patch) :]), fill, array.dtype)
    out[tuple(target)] = inside
    return out


def start_where(
    rng: np.random.Generator,
    label: Stored,
    box: Box,
    patch: Sequence[int],
    accept: Callable[[NDArray], bool],
    *,
    voxels: NDArray,
    max_tries: int,
) -> Start:
    """Random patch in a box whose labels are of a wanted kind, by rejection.

    The box decides how many draws it takes. A patch of 16 that holds tumor lies inside the tumor's
    own box grown by 15, so drawing there gives the same patches as drawing in a wide region of
    interest, with far fewer refused.

    Where `max_tries` draws find none, the patch is centred on a random one of `voxels`; where there
    are none either, the last draw is taken.

    Args:
      rng: host generator.
      label: ids (d, h, w).
      box: where patches are drawn.
      patch: the patch's (d, h, w).
      accept: whether a label patch is of the wanted kind.
      voxels: (n, 3), voxels of the wanted kind, or none of them (0, 3).
      max_tries: bound on the draws.

    Returns:
      Start (d, h, w).
    """
    label = label[...]  # One map of an array on disk for all draws.
    start = random_start_in(rng, box, patch)
    for _ in range(max_tries - 1):
        if accept(extract(label, start, patch, 0)):
            return start
        start = random_start_in(rng, box, patch)
    if accept(extract(label, start, patch, 0)) or len(voxels) == 0:
        return start
    return centered_start(voxels[rng.integers(len(voxels))], label.shape, patch)


def sample_voxels(rng: np.random.Generator, mask: NDArray, max_voxels: int) -> NDArray[np.int32]:
    """Up to `max_voxels` different true voxels, drawn uniformly: foreground to centre patches on.

    Args:
      rng: host generator.
      mask: bool (d, h, w).
      max_voxels: bound, so that a large organ costs no more than a small one.

    Returns:
      (n, 3) indices (d, h, w), in scan order.
    """
    flat = np.flatnonzero(mask)
    if flat.size > max_voxels:
        flat = np.sort(rng.choice(flat, max_voxels, replace=False, shuffle=False))
    return np.stack(np.unravel_index(flat, mask.shape), axis=-1).astype(np.int32)


def _clamp(start: NDArray, shape: Sequence[int], patch: Sequence[int]) -> Start:
    """Move a start inside; where the scan is smaller than the patch, centre the scan in it."""
    room = np.subtract(shape, patch)
    moved = np.where(room < 0, -(-room // 2), np.clip(start, 0, np.maximum(room, 0)))
    return tuple(int(a) for a in moved)
