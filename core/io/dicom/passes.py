"""Passes of the table through the patient, from when the slices at each position were acquired.

Every slice of a spiral has a time of its own. What tells two passes apart is that the table goes
back, or stands still for longer than ever within a pass.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from core.io.dicom.geometry import GAP_FACTOR, SAME_POSITION_MM

DAY_S = 24 * 3600


def by_jumps(heights_mm: NDArray, order: NDArray) -> NDArray[np.int64]:
    """Number of the pass of each slice: a new one begins where the table does not go straight on.

    Args:
      heights_mm: (n,) positions along the normal.
      order: (n,) times in seconds, or numbers of images; slices of one value are one step.

    Returns:
      (n,) from 0 on, in the order of the times.
    """
    steps = _steps(order)
    ranges = [(heights_mm[s].min(), heights_mm[s].max()) for s in steps]
    ahead = [max(b[0] - a[1], a[0] - b[1]) for a, b in itertools.pairwise(ranges)]
    usual_mm = np.median([mm for mm in ahead if mm > 0] or [0.0])
    numbers, number, way = np.zeros(len(order), np.int64), 0, 0
    low, high = ranges[0]
    for step, (bottom, top) in zip(steps[1:], ranges[1:], strict=True):
        goes, on_mm = (1, bottom - high) if bottom > high else (-1, low - top)
        if SAME_POSITION_MM <= on_mm <= GAP_FACTOR * usual_mm and way in (0, goes):
            way, low, high = goes, min(low, bottom), max(high, top)
        else:
            number, way, low, high = number + 1, 0, bottom, top
        numbers[step] = number
    return numbers


def by_gaps(heights_mm: NDArray, order: NDArray) -> NDArray[np.int64]:
    """Number of the pass of each slice: as many as slices share a position, at least two.

    They are parted where the most time lies between slices. Args and Returns are as above; it holds
    where the times of slices are in disorder within a pass.
    """
    starts = np.flatnonzero(np.diff(np.sort(heights_mm), prepend=-np.inf) >= SAME_POSITION_MM)
    num_passes = max(2, int(np.diff(starts, append=len(heights_mm)).max()))
    values = np.unique(order)
    if len(values) < num_passes:
        return np.zeros(len(order), np.int64)
    longest = np.sort(np.argsort(np.diff(values), kind="stable")[1 - num_passes :])
    return np.searchsorted(values[longest + 1], order, side="right")


def _steps(order: NDArray) -> list[NDArray]:
    """Indices of the slices of each value, from the lowest value on."""
    by_value = np.argsort(order, kind="stable")
    starts = np.flatnonzero(np.diff(order[by_value])) + 1
    return np.split(by_value, starts)


def past_midnight(times_s: NDArray) -> NDArray:
    """Seconds of the day (n,) that go on after midnight."""
    passes_it = np.ptp(times_s) > DAY_S / 2
    return np.where(passes_it & (times_s < DAY_S / 2), times_s + DAY_S, times_s)
