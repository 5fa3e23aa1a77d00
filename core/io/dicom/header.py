"""Parse a DICOM header into the CT slices it describes, or the reason why it has none.

Only the elements listed here are ever read; none of them identifies the patient.
"""

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
)

from core.io.dicom.elements import DAMAGED, DAMAGED_HEADER, NotUsedError
from core.io.dicom.elements import values as values  # pictures take it from here
from core.io.dicom.frames import ACQUIRED, SPLIT_BY, frames_of
from core.io.dicom.quantity import not_hu
from core.io.dicom.slice_header import SliceHeader
from core.io.dicom.stored import bits_problem
from core.io.dicom.truncation import missing_pixels

CT_CLASSES = {CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage}
TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "InstanceNumber",
    "LossyImageCompression",
    "VolumeBasedCalculationTechnique",
    "MultienergyCTCharacteristicsSequence",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "Units",
    "ModalityLUTSequence",
    "RealWorldValueMappingSequence",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ContentTime",
    "SpecificCharacterSet",
    *ACQUIRED,
    *SPLIT_BY,
]
ENDINGS = (".dcm", ".dicom")


def read_frames(path: Path) -> tuple[SliceHeader, ...]:
    """CT images of one file, from its header and its length alone.

    Raises:
      NotUsedError: the file holds none, or not all of their pixels; the message says what it is.
    """
    with _opened(path) as file:
        header = _parse(file, path, TAGS)
        try:
            _refuse_other_kinds(header)
            frames = tuple(frames_of(path, header))
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
    if header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        raise NotUsedError("an index of other files (DICOMDIR)")
    if kind and kind not in CT_CLASSES:
        raise NotUsedError(f"{kind.name}, not a CT image")
    if not kind and modality != "CT":
        raise NotUsedError("no SOP class, and the modality is not CT")
    if reason := not_hu([header]):
        raise NotUsedError(reason)
    if not header.get("Rows") or not header.get("Columns"):
        raise NotUsedError("it has no pixels")
    if header.get("PhotometricInterpretation", "MONOCHROME2") != "MONOCHROME2":
        raise NotUsedError(f"its pixels are {header.PhotometricInterpretation}, not HU")
    if header.get("ModalityLUTSequence"):
        raise NotUsedError("its values pass through a table (Modality LUT), not to HU by a slope")
    if reason := bits_problem(header):
        raise NotUsedError(reason)
