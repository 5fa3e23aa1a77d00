"""Header values of one DICOM slice: all that assembling a volume needs."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """Position, orientation, spacing and rescaling of one slice.

    Args:
      path: its file.
      index: its number in a file of several images.
      uid: SOP instance UID; may be empty.
      series: what images of one series share.
      description: series description.
      split_keys: values that tell apart volumes which share a series: the stack of a multi-frame
        file, then the others, strongest first.
      times_s: second of the day of its acquisition, and of its making; None where unknown.
      number: of the image in its series; None where unknown.
      size: (rows, columns).
      spacing_mm: between rows, between columns.
      position_mm: LPS position of the first pixel's center.
      orientation: LPS unit vectors along which columns, then rows, are counted.
      rescale: (slope, intercept), or None where the header has none.
      padding: stored values, from and to, that are no measurement.
      syntax: transfer syntax UID; empty where the file does not say.
      lossy: whether the pixels were ever compressed with loss.
      doubts: what its header makes doubtful, to be told where its pixels are read.
    """

    path: Path
    index: int
    uid: str
    series: tuple[str, ...]
    description: str
    split_keys: tuple[str, ...]
    times_s: tuple[float | None, float | None]
    number: int | None
    size: tuple[int, int]
    spacing_mm: tuple[float, float]
    position_mm: tuple[float, float, float]
    orientation: tuple[float, ...]
    rescale: tuple[float, float] | None
    padding: tuple[int, int] | None
    syntax: str
    lossy: bool
    doubts: tuple[str, ...]


_STORED = [field.name for field in fields(SliceHeader) if field.name != "path"]


def to_text(frame: SliceHeader) -> str:
    """A frame without its path, as one line of JSON; numbers come back exactly."""
    return json.dumps([getattr(frame, name) for name in _STORED])


def from_text(text: str, path: Path) -> SliceHeader:
    """The frame that `to_text` wrote, at a path."""
    values: list[Any] = [tuple(v) if isinstance(v, list) else v for v in json.loads(text)]
    return SliceHeader(path, *values)
