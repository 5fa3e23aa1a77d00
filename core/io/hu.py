"""Stored values to Hounsfield units: int16 as long as every value is an integer that fits."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

AIR_HU = -1024
INT16 = np.iinfo(np.int16)


def stack(slices: Iterable[NDArray], shape: tuple[int, int, int]) -> NDArray:
    """Fill an array (D, H, W) slice by slice, widening it when the first value needs it."""
    array = np.empty(shape, np.int16)
    for d, values in enumerate(slices):
        if array.dtype == np.int16 and not _fits(values):
            array = array.astype(np.float32)
        array[d] = values
    return array


def rescale(stored: NDArray, slope: float, intercept: float) -> NDArray:
    """Slope · stored + intercept, as integers where all three are."""
    if (slope, intercept) == (1, 0):
        return stored
    largest = max(abs(slope), abs(intercept))
    whole = float(slope).is_integer() and float(intercept).is_integer() and largest < 2**31
    if stored.dtype.kind == "f" or stored.dtype.itemsize > 4 or not whole:
        return stored * np.float64(slope) + intercept
    small = stored.dtype.itemsize <= 2 and largest < 2**14  # then int32 cannot overflow
    return stored.astype(np.int32 if small else np.int64) * int(slope) + int(intercept)


def _fits(values: NDArray) -> bool:
    if values.dtype == np.int16:
        return True
    return values.dtype.kind in "iu" and values.min() >= INT16.min and values.max() <= INT16.max
