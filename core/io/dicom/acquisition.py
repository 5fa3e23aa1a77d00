"""Acquisition parameters of a series: contrast timing and reconstruction, from its header.

Only the elements listed here are ever read; none of them identifies the patient.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from core.io.dicom.elements import DAMAGED, NotUsedError, seconds_of_day, values
from core.io.dicom.header import read_header
from core.io.dicom.warnings import quiet

TAGS = [
    "SOPClassUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "SpecificCharacterSet",
    "SeriesDescription",
    "ProtocolName",
    "ImageComments",
    "ImageType",
    "ConvolutionKernel",
    "SliceThickness",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "ContrastBolusAgent",
    "ContrastBolusStartTime",
    "ContrastBolusAgentSequence",
    "ContrastBolusUsageSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]
# Sequences below which the enhanced form keeps what the old form has at the top.
NESTED = (
    "PixelMeasuresSequence",
    "CTReconstructionSequence",
    "FrameContentSequence",
    "ContrastBolusAgentSequence",
    "ContrastAdministrationProfileSequence",
)
DAY_S = 24 * 3600
MAX_DELAY_S = 3600.0  # what lies further apart is no delay but a wrong clock


@dataclass(frozen=True)
class Acquisition:
    """Acquisition parameters in the header of one slice; empty or None where absent.

    Args:
      description: series description.
      protocol: protocol name.
      comments: image comments.
      agent: contrast agent.
      kernel: convolution kernel.
      thickness_mm: slice thickness.
      image_type: words such as ORIGINAL, DERIVED, MPR, in capitals.
      frame_of_reference: UID of the coordinates that its positions are given in.
      acquired_s: second of the day.
      delay_s: from the start of the injection to the acquisition; negative before it.
    """

    description: str = ""
    protocol: str = ""
    comments: str = ""
    agent: str = ""
    kernel: str = ""
    thickness_mm: float | None = None
    image_type: tuple[str, ...] = ()
    frame_of_reference: str = ""
    acquired_s: float | None = None
    delay_s: float | None = None


def read_acquisition(path: Path) -> Acquisition:
    """Acquisition of the series that a file belongs to; all unknown where it cannot be read."""
    with quiet():
        try:
            return _acquisition(read_header(path, TAGS))
        except (NotUsedError, *DAMAGED):  # pydicom converts a value, and fails, on first access
            return Acquisition()


def delay_s(acquired: str, injected: str) -> float | None:
    """Seconds between two DICOM times, HHMMSS.F with or without a date; None if implausible.

    A scan at 00:00:20 came 30 s after an injection at 23:59:50.
    """
    start, scan = seconds_of_day(injected), seconds_of_day(acquired)
    if start is None or scan is None:
        return None
    apart = (scan - start + DAY_S / 2) % DAY_S - DAY_S / 2
    return apart if abs(apart) <= MAX_DELAY_S else None


def _acquisition(header: Dataset) -> Acquisition:
    places = list(_places(header))

    def text(name: str) -> str:
        value = next((v for place in places if (v := values(place, name))), [])
        return " ".join(_repaired(str(v)).strip() for v in value)

    agent = text("ContrastBolusAgent")
    times = (text(f"{name}Time") for name in ("FrameAcquisitionDate", "Acquisition"))
    acquired = next(filter(None, times), text("AcquisitionDateTime"))
    return Acquisition(
        description=text("SeriesDescription"),
        protocol=text("ProtocolName"),
        comments=text("ImageComments"),
        agent=agent,
        kernel=text("ConvolutionKernel"),
        thickness_mm=_positive(text("SliceThickness")),
        image_type=tuple(str(v).strip().upper() for v in values(header, "ImageType")),
        frame_of_reference=text("FrameOfReferenceUID"),
        acquired_s=seconds_of_day(acquired),
        delay_s=delay_s(acquired, text("ContrastBolusStartTime")),
    )


def _places(header: Dataset) -> Iterator[Dataset]:
    """The header, then its functional groups at any depth, the first frame's before shared ones."""
    yield header
    names = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", *NESTED)
    for name in names:
        if items := header.get(name):
            yield from _places(items[0])


def _positive(number: str) -> float | None:
    try:
        return value if (value := float(number)) > 0 else None
    except ValueError:
        return None


def _repaired(text: str) -> str:
    """Latin-1 text of a file that declares no character set, decoded as UTF-8 or GB18030."""
    if text.isascii() or not all(ord(c) < 256 for c in text):
        return text
    raw = text.encode("latin-1")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    runs = re.findall(rb"[\xa1-\xfe]+", raw)
    if all(len(run) % 2 == 0 for run in runs):  # Chinese; letters with an accent stand alone
        return raw.decode("gb18030", errors="replace")
    return text
