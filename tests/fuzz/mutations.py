"""Changes to files: bytes, numbers of headers, and values of JSON documents."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydicom
from hypothesis import strategies as st
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement

from core.io.dicom.warnings import quiet

INTERESTING = (b"\0", b"\1", b"\x7f", b"\x80", b"\xff", bytes(4), b"\xff\xff\xff\x7f", b"\xff" * 4)
"""Values that lengths and counts are wrong at."""
PIECES = st.sampled_from(INTERESTING) | st.binary(min_size=1, max_size=6)
HOSTILE = (
    "",
    " ",
    "0",
    "-1",
    "1e400",
    "nan",
    "inf",
    "1\\2",
    "99999999999",
    "1e-7",
    "\u4e2d",
    "x" * 70,
)
TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=20)
NUMBERS = st.sampled_from([0, 1, -1, 2**15, 2**31, 2**63, -(2**31)]) | st.integers()
SCALARS = st.none() | st.booleans() | NUMBERS | st.floats() | TEXTS
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)


@st.composite
def changed_bytes(draw: st.DrawFn, original: bytes, *, most: int | None = None) -> bytes:
    """A file with a few bytes overwritten, inserted or removed, or cut.

    Args:
      draw: of hypothesis.
      original: its content.
      most: changes begin before this byte, where the header ends.
    """
    data, end = bytearray(original), most or len(original)
    for _ in range(draw(st.integers(1, 4))):
        at, piece = draw(st.integers(0, min(end, len(data)))), draw(PIECES)
        kind = draw(st.sampled_from(("overwrite", "insert", "remove", "repeat")))
        if kind == "overwrite":
            data[at : at + len(piece)] = piece
        elif kind == "insert":
            data[at:at] = piece
        elif kind == "remove":
            del data[at : at + draw(st.integers(1, 64))]
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 512))]
    if draw(st.integers(0, 7)) == 0:
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@st.composite
def changed_elements(draw: st.DrawFn, path: Path, target: Path) -> None:
    """Write a DICOM file to `target` with the values of a few elements replaced or removed."""
    with quiet():
        data = pydicom.dcmread(path, force=True)
        tags = [tag for tag in data.keys() if keyword_for_tag(tag) != "PixelData"]
        for tag in draw(st.lists(st.sampled_from(tags), min_size=1, max_size=4, unique=True)):
            if draw(st.booleans()):
                del data[tag]
                continue
            # As raw text, which pydicom would not convert to, but a foreign writer may leave.
            value = draw(TEXTS).encode("utf-8", "replace")
            raw = RawDataElement(
                tag, data[tag].VR, len(value), value, 0, data.is_implicit_VR, data.is_little_endian
            )
            data[tag] = raw
        data.save_as(target)


@st.composite
def changed_document(draw: st.DrawFn, document: Any) -> Any:
    """A JSON document with values at a few places replaced, removed, or given another key."""
    copy = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(copy))
        if not places:
            return draw(DOCUMENTS)
        holder, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(("replace", "remove", "rename")))
        if kind == "replace":
            holder[key] = draw(DOCUMENTS)
        elif kind == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(TEXTS)] = holder.pop(key)
    return copy


def _places(value: Any) -> Any:
    """(holder, key) of every value inside a document."""
    keys: Sequence[Any] = ()
    if isinstance(value, Mapping):
        keys = list(value)
    elif isinstance(value, list):
        keys = range(len(value))
    for key in keys:
        yield value, key
        yield from _places(value[key])
