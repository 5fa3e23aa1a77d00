"""An offset of -1024 HU that is missing, or was applied twice: told by air and soft tissue."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.io.hu import INT16
from core.io.hu_values import Values
from core.io.remarks import remark

OFFSET_HU = -1024
AIR_STORED = range(16, 33)
"""Where air of -1000 HU lies without the offset; at 0 the offset may be -1000 as well."""


def lacks_offset(values: Values) -> bool:
    """Whether fat and soft tissue are a narrow peak near 1000, as bone and MR never are."""
    tissue = values.share(850, 1250)
    is_narrow = values.share(400, 850) < 0.15 * tissue
    return tissue >= 0.05 and is_narrow and values.share(-1200, -30) < 0.2 * tissue


def add_offset(array: NDArray, values: Values, path: Path) -> NDArray:
    """HU of stored values whose air tells the offset.

    Args:
      array: that lacks its offset; changed in place.
      values: some of it.
      path: named in remarks and errors.

    Returns:
      The array itself.

    Raises:
      InputError: air does not tell the offset.
    """
    air = _air_stored(values.sample)
    if air not in AIR_STORED:
        raise InputError(
            "no CT in HU: an offset is missing, for soft tissue lies near 1000, and its air does "
            "not tell whether the offset is -1024 or -1000",
            path=path,
            hint="subtract the right one, or give the DICOM series",
        )
    if array.dtype == np.int16:
        np.maximum(array, INT16.min - OFFSET_HU, out=array)  # padding at the end of the type
    array += OFFSET_HU
    remark(path, f"its offset was missing: air lay at {air}; {OFFSET_HU} was added to every value")
    return array


def refuse_offset_twice(values: Values, path: Path) -> None:
    """Refuse soft tissue at -1000 beside air at -2000."""
    tissue = values.share(-1150, -850)
    if values.share(-2150, -1950) >= 0.01 and values.share(-300, 300) < 0.05 * tissue:
        raise InputError(
            "no CT in HU: soft tissue lies near -1000 and air near -2000",
            path=path,
            hint="the offset of -1024 was applied twice; add 1024",
        )


def _air_stored(sample: NDArray) -> int | None:
    """Value around which air lies; None where there is too little of it."""
    near = np.rint(sample[(sample > -100) & (sample < 150)]).astype(np.int64)
    counts = np.bincount(near + 100, minlength=250)
    counts[100] = 0  # 0 is where padding lies, and what was cut off below
    smooth = np.convolve(counts, np.ones(9), "same")
    peak = int(np.argmax(smooth))
    is_enough = counts[max(0, peak - 12) : peak + 13].sum() >= 0.03 * sample.size
    return peak - 100 if is_enough else None
