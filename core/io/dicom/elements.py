"""Elements of a parsed DICOM header, and why a file is not used."""

import re
import struct
import zlib
from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue

# What pydicom raises where an element holds what it must not. Its messages quote the file.
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, NotImplementedError, OSError)
# A wrong length may ask for more memory than there is.
DAMAGED += (EOFError, OverflowError, MemoryError, struct.error, zlib.error)
DAMAGED += (InvalidDicomError, BytesLengthException)
DAMAGED_HEADER = "its header is damaged"
EMPTY = Dataset()
_CLOCK = re.compile(r"(?:\d{8})?(\d{2}):?(\d{2}):?(\d{2}(?:\.\d*)?)(?:[+-]\d{4})?")


class NotUsedError(Exception):
    """Reason why a file is not used as part of a CT volume.

    Args:
      reason: in words.
      is_broken: whether it should be one, and is damaged.
    """

    def __init__(self, reason: str, *, is_broken: bool = False) -> None:
        super().__init__(reason)
        self.is_broken = is_broken


def values(place: Dataset, name: str) -> list[Any]:
    """Values of an element: none where it is absent or empty, one, or several."""
    value = place.get(name)
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, MultiValue | list) else [value]


def first_item(place: Dataset, name: str) -> Dataset:
    """First item of a sequence; an empty one where there is none."""
    items = place.get(name)
    return items[0] if items else EMPTY


def text(places: Iterable[Dataset], name: str) -> str:
    """Values of an element of the first place that has it, joined by "/".

    Returns:
      The text; "" where no place has it, or where it is damaged: for elements that a volume can be
      built without.
    """
    try:
        found = next((v for place in places if (v := values(place, name))), [])
        return "/".join(str(v).strip() for v in found)
    except DAMAGED:  # pydicom converts a value, and fails, on first access
        return ""


def seconds_of_day(clock: str) -> float | None:
    """Second of the day of a DICOM time, HHMMSS.F with or without a date; None if it is none."""
    match = _CLOCK.fullmatch(clock.strip())
    if match is None:
        return None
    hours, minutes, seconds = (float(part) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds
