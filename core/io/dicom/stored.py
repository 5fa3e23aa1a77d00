"""Stored values in the words of pixel data: the bits that the header names, and no others.

Unused bits may hold an overlay or anything else, and decoders hand them on.

Source: DICOM PS3.5, 8.1.1 (pixel cells) and 8.2 (compressed ones).
"""

from typing import NamedTuple

from numpy.typing import NDArray
from pydicom.dataset import Dataset

from core.io.dicom.codestream import Coding

DISPLAY_BITS = 8


class Bits(NamedTuple):
    """Where a word keeps its value.

    Args:
      num: how many bits.
      lowest: number of the lowest.
      is_signed: whether they are two's complement.
      has_overlay: whether the header puts an overlay into other bits.
    """

    num: int
    lowest: int
    is_signed: bool
    has_overlay: bool = False


def bits_of(header: Dataset) -> Bits:
    """Where the words of a file keep their values, by its header."""
    num = int(header.get("BitsStored") or header.BitsAllocated)
    lowest = max(0, int(header.get("HighBit") or num - 1) + 1 - num)
    return Bits(num, lowest, bool(header.get("PixelRepresentation")), _has_overlay(header))


def bits_problem(header: Dataset) -> str:
    """Why values cannot be taken from the words of a file; empty where they can."""
    allocated = int(header.get("BitsAllocated") or 16)
    num = int(header.get("BitsStored") or allocated)
    if (samples := int(header.get("SamplesPerPixel") or 1)) != 1:
        return f"its pixels have {samples} samples, not one"
    if min(num, allocated) <= DISPLAY_BITS:
        return f"its pixels have {min(num, allocated)} bits: gray values of a display, not HU"
    if max(num, int(header.get("HighBit") or 0) + 1) > allocated:
        return f"its pixels have bits that its words of {allocated} bits have not"
    return ""


def bits_doubt(header: Dataset) -> str:
    """What its header says of bits that cannot be meant; empty where nothing."""
    high, num = header.get("HighBit"), header.get("BitsStored")
    if high is None or num is None or int(high) >= int(num) - 1:
        return ""
    return f"its highest bit is {high}, too low for {num} stored bits; they are taken from bit 0 on"


def coded(bits: Bits, coding: Coding) -> Bits:
    """Where decoded words keep their values, if a JPEG stands between them and the header.

    Raises:
      ValueError: the two contradict each other; the message says how.
    """
    if coding.components != 1:
        raise ValueError(f"its JPEG has {coding.components} components, its header one sample")
    signs_lost = bits.is_signed and not coding.is_signed and coding.precision < bits.num
    if coding.precision <= DISPLAY_BITS or signs_lost:
        raise ValueError(f"its JPEG has {coding.precision} bits, its header {bits.num}")
    if coding.precision <= bits.num:  # most headers give the bits of the words before coding
        return bits._replace(num=coding.precision, lowest=0)
    return bits if coding.precision >= bits.lowest + bits.num else bits._replace(lowest=0)


def stored_values(words: NDArray, bits: Bits) -> NDArray:
    """Values of integer words of any shape, sign extended; of the size of the words."""
    width, kind = 8 * words.dtype.itemsize, "i" if bits.is_signed else "u"
    native = words.astype(words.dtype.newbyteorder("="), copy=False)
    typed = native.view(f"{kind}{words.dtype.itemsize}")
    if bits.num >= width:
        return typed
    return (typed << (width - bits.num - bits.lowest)) >> (width - bits.num)


def foreign_bits(words: NDArray, values: NDArray, bits: Bits) -> tuple[NDArray, NDArray]:
    """Which words use bits below, and above, those of their value, for anything but its sign."""
    typed = words.astype(words.dtype.newbyteorder("="), copy=False).view(values.dtype)
    below = typed & values.dtype.type((1 << bits.lowest) - 1)
    return below != 0, (typed >> bits.lowest) != values


def _has_overlay(header: Dataset) -> bool:
    """Whether an overlay (60xx) lies in the pixel data, and not in an element of its own."""
    groups = range(0x6000, 0x6020, 2)
    return any((g, 0x0102) in header and (g, 0x3000) not in header for g in groups)
