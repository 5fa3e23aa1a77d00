"""Parse a DICOM header into the CT slices it describes, or the reason why it has none.

Only the elements listed here are ever read; none of them identifies the patient.
"""

import functools
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
)

from core.io.dicom.slice_header import SliceHeader
from core.io.dicom.truncation import missing_pixels

CT_CLASSES = {CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage}
LOCALIZER_WORDS = {"LOCALIZER", "SCOUT", "TOPOGRAM", "REF_SURVIEW"}
PROJECTION_WORDS = {"MIP", "MINIP", "MAX_IP", "MIN_IP", "PROJECTION IMAGE"}

TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "SeriesNumber",
    "SeriesDescription",
    "ImageType",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "ConvolutionKernel",
    "LossyImageCompression",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "BitsAllocated",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "SpecificCharacterSet",
]
# Where the enhanced form keeps the values of a frame.
GROUPS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "FrameContentSequence",
)
# What pydicom raises where an element holds what it must not. Its messages quote the file.
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, NotImplementedError, OSError)
# A wrong length may ask for more memory than there is.
DAMAGED += (EOFError, OverflowError, MemoryError, struct.error, zlib.error)
DAMAGED += (InvalidDicomError, BytesLengthException)
DAMAGED_HEADER = "its header is damaged"
ENDINGS = (".dcm", ".dicom")
_EMPTY = Dataset()


class NotUsedError(Exception):
    """Reason why a file is not used as part of a CT volume.

    Args:
      reason: in words.
      is_broken: whether it should be one, and is damaged.
    """

    def __init__(self, reason: str, *, is_broken: bool = False) -> None:
        super().__init__(reason)
        self.is_broken = is_broken


def read_frames(path: Path) -> tuple[SliceHeader, ...]:
    """CT images of one file, from its header and its length alone.

    Raises:
      NotUsedError: the file holds none, or not all of their pixels; the message says what it is.
    """
    with _opened(path) as file:
        header = _parse(file, path, TAGS)
        try:
            _refuse_other_kinds(header)
            frames = tuple(_frames(path, header))
            missing = missing_pixels(file, header)
        except DAMAGED:  # pydicom converts a value, and fails, on first access
            raise NotUsedError(DAMAGED_HEADER, is_broken=True) from None
    if missing:
        raise NotUsedError(missing, is_broken=True)
    return frames


def read_header(path: Path, tags: Sequence[str]) -> Dataset:
    """The named elements of a DICOM file.

    Raises:
      NotUsedError: it is no DICOM file, or cannot be read.
    """
    with _opened(path) as file:
        return _parse(file, path, tags)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise NotUsedError(f"it cannot be read ({error.strerror})", is_broken=True) from None
    with file:
        yield file


def _parse(file: BinaryIO, path: Path, tags: Sequence[str]) -> Dataset:
    """Parse the named elements and stop at the pixel data, where the file is left."""
    foreign = NotUsedError("not a DICOM file", is_broken=path.suffix.lower() in ENDINGS)
    headless = False
    try:
        start = file.read(132)
        # Some exports lack the preamble; then the first element is of group 2 or 8, any endian.
        headless = start[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08")
        if start[128:] != b"DICM" and not headless:
            raise foreign
        file.seek(0)
        header = pydicom.dcmread(
            file, stop_before_pixels=True, specific_tags=_numbers(tuple(tags)), force=True
        )
        is_dicom = header.get("SOPClassUID") or header.get("SeriesInstanceUID")
    except DAMAGED:
        raise (foreign if headless else NotUsedError(DAMAGED_HEADER, is_broken=True)) from None
    if headless and not is_dicom:
        raise foreign
    return header


@functools.cache
def _numbers(names: tuple[str, ...]) -> list[int]:
    """DICOM tags by keyword, looked up once and not for each file."""
    return [Tag(name) for name in names]


def _refuse_other_kinds(header: Dataset) -> None:
    kind, modality = header.get("SOPClassUID"), header.get("Modality")
    image_type = {str(word).strip().upper() for word in values(header, "ImageType")}
    if header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        raise NotUsedError("an index of other files (DICOMDIR)")
    if kind and kind not in CT_CLASSES:
        raise NotUsedError(f"{kind.name}, not a CT image")
    if not kind and modality != "CT":
        raise NotUsedError("no SOP class, and the modality is not CT")
    if image_type & LOCALIZER_WORDS:
        raise NotUsedError("a localizer")
    if image_type & PROJECTION_WORDS:
        raise NotUsedError("a projection through slices, not a slice")
    if not header.get("Rows") or not header.get("Columns"):
        raise NotUsedError("it has no pixels")
    if header.get("PhotometricInterpretation", "MONOCHROME2") != "MONOCHROME2":
        raise NotUsedError(f"its pixels are {header.PhotometricInterpretation}, not HU")
    if header.get("BitsAllocated") == 8:
        raise NotUsedError("its pixels have 8 bits: gray values of a display, not HU")


def _frames(path: Path, header: Dataset) -> Iterator[SliceHeader]:
    shared = _first(header, "SharedFunctionalGroupsSequence")
    groups = header.get("PerFrameFunctionalGroupsSequence") or [_EMPTY]
    if len(groups) != int(header.get("NumberOfFrames") or 1):
        raise NotUsedError("it has several images without a position each")
    for index, group in enumerate(groups):
        # What the old form writes once per file, the enhanced form writes per frame or shared.
        places = [_first(place, name) for place in (group, shared) if place for name in GROUPS]
        yield _frame(path, index, header, [*filter(len, places), header])


def _frame(path: Path, index: int, header: Dataset, groups: list[Dataset]) -> SliceHeader:
    def numbers(name: str) -> tuple[float, ...]:
        value = next((v for place in groups if (v := values(place, name))), [])
        converted = tuple(float(v) for v in value)
        if not all(map(math.isfinite, converted)):
            raise NotUsedError(DAMAGED_HEADER, is_broken=True)
        return converted

    position, orientation = numbers("ImagePositionPatient"), numbers("ImageOrientationPatient")
    spacing, slope, intercept = (
        numbers(name) for name in ("PixelSpacing", "RescaleSlope", "RescaleIntercept")
    )
    if (len(position), len(orientation), len(spacing)) != (3, 6, 2):
        raise NotUsedError("it has no position, orientation or pixel spacing")
    padding = numbers("PixelPaddingValue") + numbers("PixelPaddingRangeLimit")
    folder = () if header.get("SeriesInstanceUID") else (str(path.parent),)
    series = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
    if folder:
        series += ("SeriesNumber", "SeriesDescription")
    phase = ("TemporalPositionIndex", "StackID", "FrameAcquisitionNumber", "AcquisitionNumber")
    return SliceHeader(
        path=path,
        index=index,
        uid=str(header.get("SOPInstanceUID") or ""),
        series=folder + tuple(str(header.get(name) or "") for name in series),
        description=str(header.get("SeriesDescription") or "").strip(),
        split_keys=(
            "/".join(str(v) for n in phase for p in groups for v in values(p, n)),
            "/".join(str(v) for v in values(header, "TemporalPositionIdentifier")),
            "/".join(str(v) for v in values(header, "ImageType")),
            "/".join(str(v) for v in values(header, "ConvolutionKernel")),
        ),
        size=(int(header.Rows), int(header.Columns)),
        spacing_mm=(spacing[0], spacing[1]),
        position_mm=(position[0], position[1], position[2]),
        orientation=orientation,
        rescale=(slope[0], intercept[0]) if slope and intercept else None,
        padding=(int(min(padding)), int(max(padding))) if padding else None,
        syntax=str(header.file_meta.get("TransferSyntaxUID") or ""),
        lossy=str(header.get("LossyImageCompression") or "") == "01",
    )


def values(place: Dataset, name: str) -> list[Any]:
    """Values of an element: none where it is absent or empty, one, or several."""
    value = place.get(name)
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, MultiValue) else [value]


def _first(place: Dataset, name: str) -> Dataset:
    items = place.get(name)
    return items[0] if items else _EMPTY
