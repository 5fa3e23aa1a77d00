"""Pictures of a DICOM file: gray values or colors of a display, as ultrasound machines send them.

Source: DICOM PS3.3, C.7.6.5 (Cine).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import generate_fragments
from pydicom.uid import UID, MPEGTransferSyntaxes

from core.errors import InputError
from core.io.dicom.decoder import decoding, require_boxes
from core.io.dicom.header import DAMAGED, DAMAGED_HEADER, TAGS, NotUsedError, read_header, values
from core.io.dicom.picture_frames import require_frames
from core.io.dicom.picture_pixels import correct_colors, pictures
from core.io.dicom.pixels import read_dataset, require_decoder
from core.io.dicom.regions import common_spacing, regions_of
from core.io.dicom.warnings import quiet
from core.io.image.video import read_video
from core.volume import Frame, Region

PICTURE_TAGS = [
    *TAGS,
    "SequenceOfUltrasoundRegions",
    "FrameTime",
    "FrameTimeVector",
]
# CT, MR, PET, … measure; their values are no picture. Everything of a display is.
PICTURE_MODALITIES = {"US", "ES", "IVUS", "OT", "XC", "GM", "SC", ""}


class PictureHeader(NamedTuple):
    """What a file says before its pixels.

    Args:
      num_frames: pictures in the file.
      size: (rows, columns).
      spacing_mm: between rows, between columns; None where the file does not tell, or tells
        several.
      regions: parts of the screen with a scale, in the order of the file.
      times_s: of each frame since the first; empty where the file does not tell.
      syntax: transfer syntax UID; empty where the file does not say.
    """

    num_frames: int
    size: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    regions: tuple[Region, ...]
    times_s: tuple[float, ...]
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
    decode = _film if UID(header.syntax) in MPEGTransferSyntaxes else _decoded
    for index, array in enumerate(decode(path, header)):
        time_s = header.times_s[index] if index < len(header.times_s) else None
        yield Frame(array, header.spacing_mm, time_s, header.regions)


def _parse(header: Dataset) -> PictureHeader:
    kind, modality = header.get("SOPClassUID"), str(header.get("Modality") or "")
    if header.get("ImagePositionPatient") or modality not in PICTURE_MODALITIES:
        raise NotUsedError(f"{kind.name if kind else modality}, not a picture of a display")
    if not header.get("Rows") or not header.get("Columns"):
        raise NotUsedError("it has no pixels")
    num_frames = int(header.get("NumberOfFrames") or 1)
    size = int(header.Rows), int(header.Columns)
    found = regions_of(header, size)
    return PictureHeader(
        num_frames=num_frames,
        size=size,
        spacing_mm=common_spacing(found) if found else _pixel_spacing(header),
        regions=found,
        times_s=_times_s(header, num_frames),
        syntax=str(header.file_meta.get("TransferSyntaxUID") or ""),
    )


def _pixel_spacing(header: Dataset) -> tuple[float, float] | None:
    spacing = [float(v) for v in values(header, "PixelSpacing")]
    known = len(spacing) == 2 and all(np.isfinite(s) and s > 0 for s in spacing)
    return (spacing[0], spacing[1]) if known else None


def _times_s(header: Dataset, num_frames: int) -> tuple[float, ...]:
    """Of each frame since the first; of a single picture there is none."""
    if num_frames == 1:
        return ()
    steps_ms = [float(v) for v in values(header, "FrameTimeVector")]
    if len(steps_ms) == num_frames:
        return tuple((np.cumsum(steps_ms) - steps_ms[0]) / 1000)
    step_ms = next((float(v) for v in values(header, "FrameTime")), 0.0)
    return tuple(step_ms / 1000 * i for i in range(num_frames)) if step_ms > 0 else ()


def _film(path: Path, header: PictureHeader) -> Iterator[NDArray[np.uint8]]:
    """Frames of a file that wraps an MPEG or H.264 film."""
    with quiet():
        data = read_dataset(path)
    film = b"".join(list(generate_fragments(data.PixelData))[1:])  # the first is a table of offsets
    frames = read_video(path, stream=film, num_frames=header.num_frames)
    return (frame.array for frame in frames)


def _decoded(path: Path, header: PictureHeader) -> Iterator[NDArray[np.uint8]]:
    require_decoder(header.syntax, path)
    with decoding(path, hint=_FETCH_AGAIN), quiet():
        data = read_dataset(path)
        require_frames(data, header.num_frames, path)
        require_boxes(data)
        correct_colors(data, path)
        shown = pictures(data, header.num_frames, path)
    for _ in range(header.num_frames):
        # Never across a yield: `quiet` holds the lock of the warning filters.
        with decoding(path, hint=_FETCH_AGAIN), quiet():
            array = next(shown)
        if array.shape[:2] != header.size:
            raise InputError(f"its pixels have shape {array.shape}, not {header.size}", path=path)
        yield array


_FETCH_AGAIN = "fetch the file again"
