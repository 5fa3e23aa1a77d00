"""Answers of a network back on the grid of the scan, without full-resolution arrays of all classes.

Classes are interpolated linearly (across a coarse axis the nearest slice is taken) and the highest
wins, as in nnU-Net. Slice by slice, and only where that is open: a class that leads at all corners
around a voxel leads between them too. Eleven classes from 200 × 192 × 192 to 300 × 512 × 512
voxels took 105 MB, 79 of them the labels, where all classes at once need 3.5 GB; on two cores it
was five times as fast as PyTorch's interpolation and argmax.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt

from core import check
from core.preprocess.resample import Shape, linear_weights, nearest_weights

LEAD = 1e-5
"""Lead of a class in share of its value and the next: more than three interpolations round off."""
BLOCK = 1 << 16
"""Values that are interpolated at once: as many as stay in the nearest caches."""
SLICES = 16
"""Slices of the result that one thread takes at a time."""
THREADS = min(8, os.cpu_count() or 1)
"""Each has arrays of its own."""


def label_on(
    logits: Float[np.ndarray, "d h w k"], shape: Shape, *, axis: int | None = None
) -> UInt[np.ndarray, "e i j"]:
    """Label map on another grid: the class whose interpolated value is highest, ties to the lower.

    Args:
      logits: float32 values of k classes, or probabilities; read slice by slice, so a memory map
        serves as well.
      shape: of the result.
      axis: of `coarse_axis`; across it the nearest slice is taken.

    Returns:
      Numbers of the classes, uint8 for fewer than 256 of them, else uint16.

    Raises:
      ValueError: not four axes, or no voxel.

    Source: nnU-Net 2, `resample_data_or_seg` of order 1 and, across the axis, 0, then argmax.
    """
    check.rank("logits", logits, 4)
    check.positive("voxels and classes of logits", logits.size)
    taps = [_taps(matrix) for matrix in _weights(logits.shape[:3], shape, axis)]
    labels = np.empty(shape, _id_type(logits.shape[-1]))
    parts = (slice(i, i + SLICES) for i in range(0, shape[0], SLICES))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda part: _fill(labels, logits, taps, part), parts))
    return labels


def value_on(
    values: Float[np.ndarray, "d h w"], shape: Shape, *, axis: int | None = None
) -> Float[np.ndarray, "e i j"]:
    """Map of one class, such as its probabilities, on another grid, interpolated as in `label_on`.

    Slice by slice: it needs little beside the result.

    Args:
      values: of one class.
      shape: of the result.
      axis: of `coarse_axis`.
    """
    depth, rows, columns = (_taps(matrix) for matrix in _weights(values.shape, shape, axis))
    resampled = np.empty(shape, np.float32)
    for z, (pair, shares) in enumerate(zip(depth.places.T, depth.shares.T, strict=True)):
        plane = values[pair[0]] * shares[0] + values[pair[1]] * shares[1]
        plane = _sum(*plane[rows.places], *rows.shares[:, :, None])
        resampled[z] = _sum(*plane.T[columns.places], *columns.shares[:, :, None]).T
    return resampled


def peak_bytes(logits_shape: tuple[int, int, int, int], shape: Shape) -> int:
    """Bound on what `label_on` allocates, the label map included, whatever the logits are.

    For each thread four slices of the logits in float32, 112 bytes per voxel of one slice of the
    result and four blocks; 10 classes on 200 × 192 × 192 voxels, to 300 × 512 × 512: 36 MB per
    thread and 79 MB of labels.

    Args:
      logits_shape: (d, h, w, k).
      shape: of the result.
    """
    *old, num_classes = logits_shape
    in_plane = shape[1] * shape[2]
    each = 16 * prod(old[1:]) * num_classes + 112 * in_plane + 16 * (BLOCK + num_classes)
    matrices = 8 * sum(n * m for n, m in zip(old, shape, strict=True))
    labels = shape[0] * in_plane * _id_type(num_classes).itemsize
    return labels + matrices + THREADS * each


class _Taps(NamedTuple):
    """For every new place on an axis the two old ones around it, and their shares."""

    places: Int[np.ndarray, "2 new"]
    shares: Float[np.ndarray, "2 new"]


class _Around(NamedTuple):
    """Voxels of a slice that are open, and what they are interpolated from.

    Args:
      voxels: their numbers in the slice.
      columns: numbers of the old voxels around them, each once.
      corners: for each voxel the four of its own, as places in `columns`: by column, then by row.
      row_shares: of the two rows.
      column_shares: of the two columns.
    """

    voxels: Int[np.ndarray, "n"]
    columns: Int[np.ndarray, "m"]
    corners: Int[np.ndarray, "2 2 n"]
    row_shares: Float[np.ndarray, "2 n"]
    column_shares: Float[np.ndarray, "2 n"]


def _id_type(num_classes: int) -> np.dtype:
    """Of ids and of one more number, which stands for what is open."""
    return np.min_scalar_type(num_classes)


def _weights(old: tuple[int, ...], new: Shape, axis: int | None) -> list[Float[np.ndarray, "_ _"]]:
    sizes = enumerate(zip(old, new, strict=True))
    return [nearest_weights(*n) if a == axis else linear_weights(*n) for a, n in sizes]


def _taps(matrix: Float[np.ndarray, "new old"]) -> _Taps:
    """Where a place is an old one, that one twice with halves: no share is 0, nor 0 times inf."""
    lower = (matrix > 0).argmax(axis=1)
    upper = matrix.shape[1] - 1 - (matrix[:, ::-1] > 0).argmax(axis=1)
    places = np.stack([lower, upper])
    shares = np.take_along_axis(matrix.T, places, axis=0)
    return _Taps(places.astype(np.int32), np.where(lower == upper, np.float32(0.5), shares))


def _fill(
    labels: UInt[np.ndarray, "e i j"],
    logits: Float[np.ndarray, "d h w k"],
    taps: Sequence[_Taps],
    part: slice,
) -> None:
    """Write some slices of the labels; those between the same two old ones have much in common."""
    none, (depth, *in_plane) = logits.shape[-1], taps
    leader = lru_cache(2)(lambda z: _leader(logits[z], none))
    slices = np.arange(labels.shape[0])[part]
    pairs, starts = np.unique(depth.places[:, part], axis=1, return_index=True)
    for pair, group in zip(pairs.T, np.split(slices, starts[1:]), strict=True):
        decided = _agreed(leader(pair[0]), leader(pair[1]), none)
        for a, axis in enumerate(in_plane):
            lower, upper = (decided.take(places, axis=a) for places in axis.places)
            decided = _agreed(lower, upper, none)
        labels[group] = decided
        around = _around(np.flatnonzero(decided == none), logits.shape[2], *in_plane)
        for z in group if around.voxels.size else ():
            values = _between(logits[pair[0]], logits[pair[1]], depth.shares[:, z], around.columns)
            labels[z].reshape(-1)[around.voxels] = _winners(values, around)


def _leader(values: Float[np.ndarray, "h w k"], none: int) -> UInt[np.ndarray, "h w"]:
    """Class with the highest value; `none` where another one is within rounding of it."""
    best = values[..., 0].astype(np.float32)
    second = np.full_like(best, -np.inf)
    leader = np.zeros(best.shape, _id_type(none))
    for id_ in range(1, none):
        value = np.ascontiguousarray(values[..., id_], np.float32)
        np.copyto(leader, id_, where=value > best, casting="unsafe")
        np.maximum(second, np.minimum(best, value), out=second)
        np.maximum(best, value, out=best)
    # By no more than the rounding, or by nan: the interpolation tells.
    leads = best - second > LEAD * (np.abs(best) + np.abs(second))
    return np.where(leads, leader, leader.dtype.type(none))


def _agreed(
    lower: UInt[np.ndarray, "*s"], upper: UInt[np.ndarray, "*s"], none: int
) -> UInt[np.ndarray, "*s"]:
    return np.where(lower == upper, lower, lower.dtype.type(none))


def _around(voxels: Int[np.ndarray, "n"], width: int, rows: _Taps, columns: _Taps) -> _Around:
    y, x = np.divmod(voxels.astype(np.int32), np.int32(columns.places.shape[1]))
    corners = rows.places[None, :, y] * np.int32(width) + columns.places[:, None, x]
    used = np.zeros(width * (int(rows.places.max()) + 1), bool)
    used[corners] = True
    place = np.cumsum(used, dtype=np.int32) - np.int32(1)
    shares = rows.shares[:, y], columns.shares[:, x]
    return _Around(voxels, np.flatnonzero(used), place[corners], *shares)


def _between(
    lower: Float[np.ndarray, "h w k"],
    upper: Float[np.ndarray, "h w k"],
    shares: Float[np.ndarray, "2"],
    columns: Int[np.ndarray, "m"],
) -> Float[np.ndarray, "m k"]:
    first, second = (
        values.reshape(-1, values.shape[-1])[columns].astype(np.float32, copy=False)
        for values in (lower, upper)
    )
    return _sum(first, second, *shares[:, None, None])


def _winners(values: Float[np.ndarray, "m k"], around: _Around) -> Int[np.ndarray, "n"]:
    winners = np.empty(around.voxels.size, np.intp)
    step = max(1, BLOCK // values.shape[1])
    for i in range(0, winners.size, step):
        part = slice(i, i + step)
        rows, columns = around.row_shares[:, part, None], around.column_shares[:, part, None]
        corners = (values.take(c[part], axis=0) for c in around.corners.reshape(4, -1))
        left, right = (_sum(next(corners), next(corners), *rows) for _ in range(2))
        winners[part] = _sum(left, right, *columns).argmax(axis=1)
    return winners


def _sum(
    first: Float[np.ndarray, "n k"],
    second: Float[np.ndarray, "n k"],
    share: Float[np.ndarray, "_ 1"],
    other: Float[np.ndarray, "_ 1"],
) -> Float[np.ndarray, "n k"]:
    """Sum of two arrays with shares, in place of both."""
    first *= share
    second *= other
    first += second
    return first
