"""One acquisition is often reconstructed several times, and only one of them is used.

The best for soft tissue is kept: of a soft kernel, original rather than derived, 3 to 5 mm thick as
in the paper, with the most slices; the path decides at last, so that the choice is always the same.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.io.dicom.acquisition import Acquisition
from core.io.scans import Scan
from fee.phases import SeriesPhase

THICKNESS_MM = (3.0, 5.0)  # Methods, Patients
SAME_TIME_S = 15.0  # two phases are further apart, two reconstructions of one are not
SHARP_WORDS = r"bone|lung|edge|sharp|detail|ultra|knochen|lunge|\bos\b|osseux|poumon|hueso|骨|肺"
SOFT_WORDS = r"\bsoft|stand|\bstd|smooth|weich|mou|软组织|標準|标准"
SHARP_NUMBER = {"SIEMENS": 45, "TOSHIBA": 30}  # B30f and FC08 are soft; B60f and FC52 are not


@dataclass(frozen=True)
class Candidate:
    """A series that may be used.

    Args:
      scan: its images.
      name: its path below the patient's folder.
      acquisition: what its header says.
      series_phase: its contrast phase, and what tells it.
    """

    scan: Scan
    name: str
    acquisition: Acquisition
    series_phase: SeriesPhase


def redundant(candidates: Sequence[Candidate]) -> dict[str, str]:
    """Scans that show what a better one shows.

    Returns:
      Id of each to the id of the one that is kept instead.
    """
    kept: list[Candidate] = []
    left_out: dict[str, str] = {}
    for candidate in sorted(candidates, key=_rank):
        better = next((k for k in kept if _same_acquisition(candidate, k)), None)
        if better is None:
            kept.append(candidate)
        else:
            left_out[candidate.scan.id] = better.scan.id
    return left_out


def sharpness(kernel: str, description: str) -> int:
    """0 for a soft kernel, 1 where nothing tells, 2 for one made for bone or lung."""
    for text in (kernel.casefold(), description.casefold()):
        if re.search(SHARP_WORDS, text):
            return 2
        if re.search(SOFT_WORDS, text):
            return 0
    for pattern, limit in (
        (r"\bfc ?(\d\d)", SHARP_NUMBER["TOSHIBA"]),
        (r"\b[a-z]{1,2}(\d\d)[a-z]?\b", SHARP_NUMBER["SIEMENS"]),
    ):
        if match := re.search(pattern, kernel.casefold()):
            return 2 if int(match[1]) >= limit else 0
    if re.fullmatch(r"[a-c]", kernel.casefold()):  # Philips
        return 0
    return 2 if re.fullmatch(r"d|e|l|y[a-e]", kernel.casefold()) else 1


def _rank(candidate: Candidate) -> tuple[int, bool, float, int, str, str]:
    acquisition, scan = candidate.acquisition, candidate.scan
    thickness = acquisition.thickness_mm or 0.0
    off_mm = max(THICKNESS_MM[0] - thickness, thickness - THICKNESS_MM[1], 0.0)
    return (
        sharpness(acquisition.kernel, acquisition.description),
        "DERIVED" in acquisition.image_type,
        off_mm,
        -len(scan.frames),
        candidate.name,
        scan.id,
    )


def _same_acquisition(a: Candidate, b: Candidate) -> bool:
    """Same place, same phase, and as far as the headers tell the same time."""
    if (
        a.scan.kind != "dicom"
        or b.scan.kind != "dicom"
        or a.series_phase.phase != b.series_phase.phase
    ):
        return False
    if a.acquisition.frame_of_reference != b.acquisition.frame_of_reference:
        return False
    times = (a.acquisition.acquired_s, b.acquisition.acquired_s)
    if times[0] is None or times[1] is None:
        # Two series of unknown phase may be two phases; without a time both are kept.
        return a.series_phase.phase != "unknown" and _overlap(a.scan, b.scan)
    return abs(times[0] - times[1]) <= SAME_TIME_S and _overlap(a.scan, b.scan)


def _overlap(a: Scan, b: Scan) -> bool:
    """Whether the shorter of two scans shares half its height with the other."""
    (low_a, high_a), (low_b, high_b) = _span_mm(a), _span_mm(b)
    shared = min(high_a, high_b) - max(low_a, low_b)
    return shared >= 0.5 * min(high_a - low_a, high_b - low_b)


def _span_mm(scan: Scan) -> tuple[float, float]:
    ends = scan.frames[0].position_mm[2], scan.frames[-1].position_mm[2]
    return min(ends), max(ends)
