"""One two-dimensional image of a DICOM file: the few header values that a volume is built from."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Frame:
    """Where one image lies, and how its stored values become HU.

    Args:
      path: its file.
      index: its number in a file of several images.
      uid: SOP instance UID; may be empty.
      series: what images of one series share.
      description: series description.
      split_keys: values by which images at one position are told apart, strongest first.
      size: (rows, columns).
      spacing_mm: between rows, between columns.
      position_mm: LPS position of the first pixel's center.
      orientation: LPS unit vectors along which columns, then rows, are counted.
      rescale: (slope, intercept), or None where the header has none.
      padding: stored values, from and to, that are no measurement.
      syntax: transfer syntax UID; empty where the file does not say.
      lossy: whether the pixels were ever compressed with loss.
    """

    path: Path
    index: int
    uid: str
    series: tuple[str, ...]
    description: str
    split_keys: tuple[str, ...]
    size: tuple[int, int]
    spacing_mm: tuple[float, float]
    position_mm: tuple[float, float, float]
    orientation: tuple[float, ...]
    rescale: tuple[float, float] | None
    padding: tuple[int, int] | None
    syntax: str
    lossy: bool
