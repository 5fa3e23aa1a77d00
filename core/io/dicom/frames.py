"""The CT images that a parsed header describes, one by one in a file of several."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from core.io.dicom.elements import (
    DAMAGED_HEADER,
    EMPTY,
    NotUsedError,
    first_item,
    seconds_of_day,
    text,
    values,
)
from core.io.dicom.quantity import doubt, not_hu, rescaling_in_hu
from core.io.dicom.slice_header import SliceHeader
from core.io.dicom.stored import bits_doubt

# Where the enhanced form keeps the values of a frame.
GROUPS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "FrameContentSequence",
    "TemporalPositionSequence",
    "CTImageFrameTypeSequence",
    "CTReconstructionSequence",
    "CTXRayDetailsSequence",
    "ContrastBolusUsageSequence",
    "CardiacSynchronizationSequence",
    "RespiratorySynchronizationSequence",
)
# What tells apart volumes that share a series, strongest first.
SPLIT_BY = (
    "StackID",
    "TemporalPositionIndex",
    "FrameAcquisitionNumber",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "TemporalPositionTimeOffset",
    "ImageType",
    "FrameType",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "ContrastBolusAgentAdministered",
    "ContrastBolusAgentPhase",
    "KVP",
    "EchoNumbers",
    "NominalPercentageOfCardiacPhase",
    "NominalPercentageOfRespiratoryPhase",
    "TriggerTime",
    "SliceThickness",
    "SeriesDescription",
    "SeriesNumber",
)
NUM_DIMENSIONS = 6  # of a multi-frame file, by which its frames are told apart as well
ACQUIRED = (
    "FrameAcquisitionDateTime",
    "FrameReferenceDateTime",
    "AcquisitionTime",
    "AcquisitionDateTime",
)
LOSSY = {JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless}  # whatever the header says
SAME_NUMBER = 5e-4  # relative; decimal strings are rounded


def frames_of(path: Path, header: Dataset) -> Iterator[SliceHeader]:
    """Images of one file.

    Raises:
      NotUsedError: an image has no place in space, or no values in HU.
    """
    shared = first_item(header, "SharedFunctionalGroupsSequence")
    groups = header.get("PerFrameFunctionalGroupsSequence") or [EMPTY]
    if len(groups) != int(header.get("NumberOfFrames") or 1):
        raise NotUsedError("it has several images without a position each")
    for index, group in enumerate(groups):
        # What the old form writes once per file, the enhanced form writes per frame or shared.
        nested = [first_item(place, name) for place in (group, shared) if place for name in GROUPS]
        places = [*filter(len, (*nested, group, shared)), header]
        if reason := not_hu(places):
            raise NotUsedError(reason)
        yield _frame(path, index, header, places)


def _frame(path: Path, index: int, header: Dataset, places: list[Dataset]) -> SliceHeader:
    position = _numbers(places, "ImagePositionPatient")
    orientation = _numbers(places, "ImageOrientationPatient")
    spacing = _same_numbers(places, "PixelSpacing")
    if (len(position), len(orientation), len(spacing)) != (3, 6, 2):
        raise NotUsedError("it has no position, orientation or pixel spacing")
    padding = _numbers(places, "PixelPaddingValue") + _numbers(places, "PixelPaddingRangeLimit")
    folder = () if header.get("SeriesInstanceUID") else (str(path.parent),)
    series = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
    if folder:
        series += ("SeriesNumber", "SeriesDescription")
    rescale, taken = _rescale(places)
    syntax = str(header.file_meta.get("TransferSyntaxUID") or "")
    return SliceHeader(
        path=path,
        index=index,
        uid=str(header.get("SOPInstanceUID") or ""),
        series=folder + tuple(str(header.get(name) or "") for name in series),
        description=str(header.get("SeriesDescription") or "").strip(),
        split_keys=_split_keys(places),
        times_s=(_time_s(places, *ACQUIRED), _time_s(places, "ContentTime")),
        number=_instance(header, index),
        size=(int(header.Rows), int(header.Columns)),
        spacing_mm=(spacing[0], spacing[1]),
        position_mm=(position[0], position[1], position[2]),
        orientation=orientation,
        rescale=rescale,
        padding=(int(min(padding)), int(max(padding))) if padding else None,
        syntax=syntax,
        lossy=syntax in LOSSY or str(header.get("LossyImageCompression") or "") == "01",
        doubts=tuple(filter(None, (taken, bits_doubt(header), doubt(places)))),
    )


def _numbers(places: Sequence[Dataset], name: str) -> tuple[float, ...]:
    """Finite values of an element of the first place that has it.

    Raises:
      NotUsedError: one is no finite number.
    """
    return next(_all_numbers(places, name), ())


def _same_numbers(places: Sequence[Dataset], name: str) -> tuple[float, ...]:
    """Finite values of an element, which no two places may give differently.

    Raises:
      NotUsedError: one is no finite number, or two places contradict each other.
    """
    first, *others = [*_all_numbers(places, name)] or [()]
    if not all(_close(first, other) for other in others):
        raise NotUsedError(f"its header gives two values of {name}", is_broken=True)
    return first


def _all_numbers(places: Sequence[Dataset], name: str) -> Iterator[tuple[float, ...]]:
    for place in places:
        if found := values(place, name):
            converted = tuple(float(v) for v in found)
            if not all(map(math.isfinite, converted)):
                raise NotUsedError(DAMAGED_HEADER, is_broken=True)
            yield converted


def _close(a: Sequence[float], b: Sequence[float]) -> bool:
    pairs = zip(a, b, strict=False)
    return len(a) == len(b) and all(math.isclose(*p, rel_tol=SAME_NUMBER) for p in pairs)


def _rescale(places: Sequence[Dataset]) -> tuple[tuple[float, float] | None, str]:
    """Slope and intercept, None where there is neither, and what was taken for a missing one."""
    slope, intercept = (_same_numbers(places, f"Rescale{n}") for n in ("Slope", "Intercept"))
    if max(len(slope), len(intercept)) > 1:
        raise NotUsedError(DAMAGED_HEADER, is_broken=True)
    if slope == (0,):
        raise NotUsedError("its rescale slope is 0", is_broken=True)
    rescale = (*(slope or (1.0,)), *(intercept or (0.0,)))
    mapped = rescaling_in_hu(places)
    if mapped and not _close(mapped, rescale):
        raise NotUsedError("its rescale and its real world values differ", is_broken=True)
    if bool(slope) == bool(intercept):
        return (rescale[0], rescale[1]) if slope else None, ""
    taken = "no rescale intercept, taken as 0" if slope else "no rescale slope, taken as 1"
    return (rescale[0], rescale[1]), f"it has {taken}"


def _split_keys(places: Sequence[Dataset]) -> tuple[str, ...]:
    dimensions = text(places, "DimensionIndexValues").split("/")
    padded = (*dimensions, *[""] * NUM_DIMENSIONS)[:NUM_DIMENSIONS]
    return (*(text(places, name) for name in SPLIT_BY), *padded)


def _time_s(places: Sequence[Dataset], *names: str) -> float | None:
    """Second of the day by the first of the elements that a place has."""
    found = (seconds_of_day(text(places, name)) for name in names)
    return next((s for s in found if s is not None), None)


def _instance(header: Dataset, index: int) -> int | None:
    """Number of an image in its series; in a file of several, its number in the file."""
    if int(header.get("NumberOfFrames") or 1) > 1:
        return index
    number = text([header], "InstanceNumber")
    return int(number) if number.lstrip("-").isdecimal() else None
