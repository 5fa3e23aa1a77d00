"""Detect truncated pixel data without decoding it.

An interrupted transfer leaves a valid header on too few pixels. Detected here, the slice is missing
from its series before a volume is built.
"""

import os
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

_PIXEL_GROUP, _PIXEL_ELEMENTS = 0x7FE0, (0x0008, 0x0009, 0x0010)
_ITEM = b"\xfe\xff\x00\xe0"
_DELIMITER = b"\xfe\xff\xdd\xe0"
_UNDEFINED = 0xFFFFFFFF


def missing_pixels(file: BinaryIO, header: Dataset) -> str:
    """How much of the pixel data is missing, in words; empty where it is complete.

    Args:
      file: at the pixel data, where reading a header stops.
      header: with Rows, Columns and BitsAllocated.
    """
    if header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return ""  # inflated as a whole to read the header, which fails on a part
    size = os.fstat(file.fileno()).st_size
    length = _element_length(file, header)
    if length is None:
        return "truncated: it ends before its pixels"
    if length == _UNDEFINED:
        return "" if _has_whole_fragments(file, size) else "truncated: its last pixels are missing"
    have = min(length, size - file.tell())
    need = _native_bytes(header)
    return "" if have >= need else f"truncated: {have} of the {need} bytes of its pixels"


def _element_length(file: BinaryIO, header: Dataset) -> int | None:
    """Length of the pixel data element at the current position; None where there is none."""
    implicit, little = header.original_encoding
    order = "little" if little else "big"
    start = file.read(8 if implicit else 12)
    group, element = (int.from_bytes(start[i : i + 2], order) for i in (0, 2))
    if len(start) < (8 if implicit else 12):
        return None
    if group != _PIXEL_GROUP or element not in _PIXEL_ELEMENTS:
        return None
    return int.from_bytes(start[-4:], order)


def _native_bytes(header: Dataset) -> int:
    num_values = int(header.Rows) * int(header.Columns) * int(header.get("NumberOfFrames") or 1)
    return num_values * int(header.BitsAllocated) // 8


def _has_whole_fragments(file: BinaryIO, size: int) -> bool:
    """Whether encapsulated fragments follow, all within the file, and then the delimiter."""
    num_fragments = -1  # the first item is the table of offsets
    while (start := file.read(8))[:4] == _ITEM and len(start) == 8:
        file.seek(int.from_bytes(start[4:], "little"), os.SEEK_CUR)
        if file.tell() > size:
            return False
        num_fragments += 1
    return num_fragments > 0 and start[:4] == _DELIMITER
