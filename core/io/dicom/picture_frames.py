"""How many frames the pixel data of a file hold, whatever its header promises."""

from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom import Dataset
from pydicom.encaps import generate_fragmented_frames, parse_fragments

from core.errors import InputError
from core.io.remarks import remark

_ITEM = b"\xfe\xff\x00\xe0"
_HEADER_BYTES = 12
"""Of the element of encapsulated pixels, which always names its type."""
_SUBSAMPLED = "YBR_FULL_422"


def require_frames(data: Dataset, num_frames: int, path: Path) -> None:
    """Refuse a file that holds fewer frames than its header promises; remark one of more.

    Args:
      data: the whole file.
      num_frames: that the header promises.
      path: the file.

    Raises:
      InputError: it holds fewer; the line says how many.
    """
    held = _num_held(data, num_frames, path)
    if held is not None and held < num_frames and num_frames > 1:
        raise few_frames(held, num_frames, path)
    if held is not None and held > num_frames:
        remark(path, f"its header tells {num_frames} of its {held} frames; the others are left out")


def few_frames(held: int, num_frames: int, path: Path) -> InputError:
    """What to say of a clip that ends before its time."""
    return InputError(
        f"holds {held} of {num_frames} frames", path=path, hint="fetch the file again"
    )


def _num_held(data: Dataset, num_frames: int, path: Path) -> int | None:
    """Whole frames; None where it cannot be told, and decoding says what is wrong."""
    if not data.file_meta.TransferSyntaxUID.is_encapsulated:
        return _num_native(data)
    if "PixelData" not in data:  # pydicom leaves out pixels that do not end
        with path.open("rb") as file:
            return min(_num_whole_fragments(file), num_frames - 1)
    frames = generate_fragmented_frames(data.PixelData, number_of_frames=num_frames)
    try:
        return sum(1 for _ in frames)
    except ValueError:  # fewer fragments than frames
        return parse_fragments(data.PixelData)[0] - 1  # the first is a table of offsets


def _num_native(data: Dataset) -> int | None:
    samples = int(data.get("SamplesPerPixel") or 1)
    bits = int(data.Rows) * int(data.Columns) * samples * int(data.BitsAllocated)
    if data.get("PhotometricInterpretation") == _SUBSAMPLED:
        bits = bits // 3 * 2
    return 8 * len(data.PixelData) // bits if "PixelData" in data else None


def _num_whole_fragments(file: BinaryIO) -> int:
    """Fragments of pixels that lie within a file, of which each is a frame."""
    pydicom.dcmread(file, stop_before_pixels=True, force=True)
    size, found = Path(file.name).stat().st_size, -1  # the first item is the table of offsets
    file.seek(_HEADER_BYTES, 1)
    while (start := file.read(8))[:4] == _ITEM:
        file.seek(int.from_bytes(start[4:], "little"), 1)
        found += file.tell() <= size
    return max(found, 0)
