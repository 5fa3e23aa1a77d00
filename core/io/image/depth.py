"""Convert pixels of any depth to 8 bits.

| stored | 8 bits |
|---|---|
| 1 bit | 0 and 255 |
| 8 bits | as they are |
| whole numbers of more bits | the 8 highest of 8, 12, 16 or 32 bits, whichever holds the largest |
| real numbers within [0, 1] | times 255 |
| real numbers within [0, 255] | as they are |
| others | from the smallest to the largest, linearly; nan and infinities become 0 |
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

DEPTHS = (8, 12, 16, 32)


def bits_needed(arrays: Iterable[NDArray]) -> int:
    """Depth of whole numbers, 8, 12, 16 or 32 bits: one for all pages of a file."""
    largest = max((int(array.max(initial=0)) for array in arrays), default=0)
    return next((bits for bits in DEPTHS if largest < 2**bits), 64)


def to_uint8(array: NDArray, *, bits: int | None = None) -> NDArray[np.uint8]:
    """Pixels as the table of this module shows them.

    Args:
      array: truth values, whole or real numbers, any shape.
      bits: depth of whole numbers; found from the largest of them if not given.
    """
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f" or array.min(initial=0) < 0:
        return _real_to_uint8(array.astype(np.float64))
    bits = bits_needed([array]) if bits is None else bits
    return (array.astype(np.uint64) >> np.uint64(max(bits - 8, 0))).astype(np.uint8)


def _real_to_uint8(array: NDArray[np.float64]) -> NDArray[np.uint8]:
    finite = array[np.isfinite(array)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    shown = (np.where(np.isfinite(array), array, low) - low) * (255 / ((high - low) or 1.0))
    return np.rint(np.clip(shown, 0, 255)).astype(np.uint8)
