"""A look at a volume's values: how many lie where, and whether they are a label map's."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SAMPLE = 1 << 20
FEWEST = 1000
"""Voxels of which shares tell something."""
MOST_LABELS = 128
"""Ids of one label map; TotalSegmentator has 117. A slice of CT has more values."""


class Values(NamedTuple):
    """Some of a volume's values, evenly taken."""

    sample: NDArray

    def share(self, low: float, high: float) -> float:
        """Of the values from `low` to below `high`."""
        return float(np.mean((self.sample >= low) & (self.sample < high)))

    @property
    def limits(self) -> str:
        """The least and the largest, in words."""
        return f"from {self.sample.min():.4g} to {self.sample.max():.4g}"


def values_of(array: NDArray) -> Values:
    """About `SAMPLE` values of an array in C order."""
    # A step that shares a factor with the rows would stay in some columns.
    step = max(1, array.size // SAMPLE)
    while math.gcd(step, array.size) > 1:
        step += 1
    return Values(array.reshape(-1)[::step])


def label_map(ids: NDArray) -> str:
    """Why values are those of a label map, in words; empty where they are not.

    Args:
      ids: distinct values, in ascending order.
    """
    whole = np.unique(np.rint(ids))
    # Not "within" is also true of nan; labels may be rounded as they were stored.
    if whole.size > MOST_LABELS or ids[0] < -1.5 or not (np.abs(ids - np.rint(ids)) <= 1e-3).all():
        return ""
    if whole.size == 1:
        return f"every voxel is {whole[0]:.0f}, as in an empty label map"
    if whole[0] > 1:  # few values of CT without its offset; a label map has a background
        return ""
    kind = "a label map or a picture" if whole[-1] == 255 else "a label map"
    return f"{whole.size} whole numbers from {whole[0]:.0f} to {whole[-1]:.0f}, as in {kind}"
