"""Intensities: the HU window and the z-score, over a whole scan.

A prepared case keeps windowed HU as int16 beside its mean and standard deviation, and a patch is
normalised when it is read: the same numbers as normalising first, at half the bytes.
"""

import numpy as np
from numpy.typing import NDArray


def window(hu: NDArray, low: float, high: float) -> NDArray:
    """Clip to [low, high] HU.

    Args:
      hu: voxels of any shape.
      low: values below become this one; it is also what air becomes.
      high: values above become this one.

    Returns:
      Same shape; same dtype where it can hold both bounds.

    Raises:
      ValueError: if `low` is not below `high`.
    """
    if not low < high:
        raise ValueError(f"window_hu needs low < high; got [{low}, {high}]")
    if np.issubdtype(hu.dtype, np.integer) and low == int(low) and high == int(high):
        low, high = int(low), int(high)  # float bounds would make a float64 copy of the scan
    return np.clip(hu, low, high)


def window_int16(hu: NDArray, low: float, high: float) -> NDArray[np.int16]:
    """Clip to [low, high] HU and round to whole HU, without a float copy of the scan.

    Args:
      hu: voxels (d, ...).
      low: lower bound, within int16.
      high: upper bound, within int16.

    Returns:
      Same shape, int16; half HU go to the even neighbor.
    """
    clipped = np.empty(hu.shape, np.int16)
    for section, target in zip(hu, clipped, strict=True):
        target[...] = np.rint(window(section, low, high))
    return clipped


def statistics(array: NDArray) -> tuple[float, float]:
    """Mean and standard deviation (divided by n) over all voxels, in float64.

    Two passes slice by slice: exact where one pass of sums would cancel, and no float64 copy of a
    512×512×667 scan (1.4 GB).

    Args:
      array: voxels (d, ...).

    Returns:
      (mean, standard deviation); a constant array has standard deviation 0.
    """
    if array.size == 0:
        raise ValueError(f"array must have voxels; got shape {array.shape}")
    mean = sum(float(part.sum(dtype=np.float64)) for part in array) / array.size
    squares = sum(float(np.square(part - np.float64(mean)).sum()) for part in array)
    return mean, float(np.sqrt(squares / array.size))


def normalize(array: NDArray, mean: float, std: float) -> NDArray[np.float32]:
    """Map `array` to (array − mean) / std; a constant scan (std 0) maps to zeros.

    Args:
      array: voxels of any shape, a patch or a scan.
      mean: of the whole scan.
      std: of the whole scan.

    Returns:
      Same shape, float32.
    """
    shifted = np.subtract(array, np.float32(mean), dtype=np.float32)
    shifted *= np.float32(1 / std if std > 0 else 1)
    return shifted


def z_score(array: NDArray) -> NDArray[np.float32]:
    """Zero mean and unit variance over the whole array; zeros where the array is constant.

    Args:
      array: voxels (d, ...).

    Returns:
      Same shape, float32; the statistics are float64.
    """
    return normalize(array, *statistics(array))
