"""Pictures of a DICOM file: gray values or colors of a display, as ultrasound machines send them.

What is measured in space comes from the ultrasound regions, where the machine says which part of
the screen is the scan and how many centimeters a pixel spans.

Source: DICOM PS3.3, C.8.5.5 (US Region Calibration) and C.7.6.5 (Cine).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import generate_fragments
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, MPEGTransferSyntaxes

from core.errors import InputError
from core.io.dicom.header import DAMAGED, DAMAGED_HEADER, TAGS, NotUsedError, read_header, values
from core.io.dicom.pixels import read_dataset, require_decoder
from core.io.dicom.warnings import quiet
from core.io.image.depth import to_uint8
from core.io.image.video import read_video
from core.volume import Frame

PICTURE_TAGS = [
    *TAGS,
    "SequenceOfUltrasoundRegions",
    "FrameTime",
    "FrameTimeVector",
    "BitsStored",
    "SamplesPerPixel",
]
# CT, MR, PET, … measure; their values are no picture. Everything of a display is.
PICTURE_MODALITIES = {"US", "ES", "IVUS", "OT", "XC", "GM", "SC", ""}
GRAY, INVERTED, PALETTE = "MONOCHROME2", "MONOCHROME1", "PALETTE COLOR"
TWO_DIMENSIONAL, CENTIMETER, MM_PER_CM = 1, 3, 10.0


class PictureHeader(NamedTuple):
    """What a file says before its pixels.

    Args:
      num_frames: pictures in the file.
      size: (rows, columns).
      spacing_mm: between rows, between columns; None where the file does not tell.
      times_s: of each frame since the first; empty where the file does not tell.
      photometric: how the stored values make a color.
      syntax: transfer syntax UID; empty where the file does not say.
    """

    num_frames: int
    size: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    times_s: tuple[float, ...]
    photometric: str
    syntax: str


def read_picture_header(path: Path) -> PictureHeader:
    """Header of a file of pictures.

    Raises:
      NotUsedError: it holds none; the message says what it is.
    """
    with quiet():
        header = read_header(path, PICTURE_TAGS)
        try:
            return _parse(header)
        except DAMAGED:  # pydicom converts a value, and fails, on first access
            raise NotUsedError(DAMAGED_HEADER, is_broken=True) from None


def read_pictures(path: Path) -> Iterator[Frame]:
    """Pictures of a file in order, one in memory at a time.

    Raises:
      InputError: the file holds no pictures, or cannot be decoded.
    """
    try:
        header = read_picture_header(path)
    except NotUsedError as reason:
        raise InputError(str(reason), path=path) from None
    arrays = _film(path) if UID(header.syntax) in MPEGTransferSyntaxes else _decoded(path, header)
    for index, array in enumerate(arrays):
        time_s = header.times_s[index] if index < len(header.times_s) else None
        yield Frame(array, header.spacing_mm, time_s)


def _parse(header: Dataset) -> PictureHeader:
    kind, modality = header.get("SOPClassUID"), str(header.get("Modality") or "")
    if header.get("ImagePositionPatient") or modality not in PICTURE_MODALITIES:
        raise NotUsedError(f"{kind.name if kind else modality}, not a picture of a display")
    if not header.get("Rows") or not header.get("Columns"):
        raise NotUsedError("it has no pixels")
    num_frames = int(header.get("NumberOfFrames") or 1)
    return PictureHeader(
        num_frames=num_frames,
        size=(int(header.Rows), int(header.Columns)),
        spacing_mm=_spacing_mm(header),
        times_s=_times_s(header, num_frames),
        photometric=str(header.get("PhotometricInterpretation") or GRAY),
        syntax=str(header.file_meta.get("TransferSyntaxUID") or ""),
    )


def _spacing_mm(header: Dataset) -> tuple[float, float] | None:
    """Of the largest two-dimensional region in centimeters, else of the whole picture."""
    regions = [r for r in header.get("SequenceOfUltrasoundRegions") or [] if _in_centimeters(r)]
    if regions:
        largest = max(regions, key=_area)
        down, right = (abs(float(largest[f"PhysicalDelta{a}"].value)) for a in "YX")
        return down * MM_PER_CM, right * MM_PER_CM
    spacing = [float(v) for v in values(header, "PixelSpacing")]
    known = len(spacing) == 2 and all(np.isfinite(s) and s > 0 for s in spacing)
    return (spacing[0], spacing[1]) if known else None


def _in_centimeters(region: Dataset) -> bool:
    units = [region.get(f"PhysicalUnits{a}Direction") for a in "XY"]
    deltas = [float(region.get(f"PhysicalDelta{a}") or 0) for a in "XY"]
    flat = region.get("RegionSpatialFormat") == TWO_DIMENSIONAL
    return flat and units == [CENTIMETER] * 2 and all(np.isfinite(d) and d != 0 for d in deltas)


def _area(region: Dataset) -> int:
    x0, y0, x1, y1 = (int(region.get(f"RegionLocation{e}") or 0) for e in _CORNERS)
    return (x1 - x0) * (y1 - y0)


_CORNERS = ("MinX0", "MinY0", "MaxX1", "MaxY1")


def _times_s(header: Dataset, num_frames: int) -> tuple[float, ...]:
    """Of each frame since the first; of a single picture there is none."""
    if num_frames == 1:
        return ()
    steps_ms = [float(v) for v in values(header, "FrameTimeVector")]
    if len(steps_ms) == num_frames:
        return tuple((np.cumsum(steps_ms) - steps_ms[0]) / 1000)
    step_ms = next((float(v) for v in values(header, "FrameTime")), 0.0)
    return tuple(step_ms / 1000 * i for i in range(num_frames)) if step_ms > 0 else ()


def _film(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Frames of a file that wraps an MPEG or H.264 film."""
    with quiet():
        data = read_dataset(path)
    film = b"".join(list(generate_fragments(data.PixelData))[1:])  # the first is a table of offsets
    return (frame.array for frame in read_video(path, stream=film))


def _decoded(path: Path, header: PictureHeader) -> Iterator[NDArray[np.uint8]]:
    require_decoder(header.syntax, path)
    try:
        with quiet():
            data = read_dataset(path)
            stored = iter_pixels(data)  # YBR of any kind becomes RGB here
    except Exception as error:
        raise _undecodable(path, error) from error
    for _ in range(header.num_frames):
        try:
            with quiet():  # never across a yield: it holds the lock of the warning filters
                shown = _shown(next(stored), data, header)
        except Exception as error:  # decoders raise many kinds, and their text is their own
            raise _undecodable(path, error) from error
        if shown.shape[:2] != header.size:
            raise InputError(f"its pixels have shape {shown.shape}, not {header.size}", path=path)
        yield shown


def _undecodable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"its pixels cannot be decoded ({type(error).__name__})",
        path=path,
        hint="fetch the file again",
    )


def _shown(array: NDArray, data: Dataset, header: PictureHeader) -> NDArray[np.uint8]:
    """Gray (H, W) or RGB (H, W, 3) of stored values; the 8 highest bits of deeper ones."""
    if header.photometric == PALETTE:
        colors: Any = apply_color_lut(array, data)[..., :3]
        return to_uint8(colors, bits=8 * colors.dtype.itemsize)
    shown = to_uint8(array, bits=max(8, int(data.get("BitsStored") or 8)))
    if header.photometric == INVERTED:
        return 255 - shown
    return shown
