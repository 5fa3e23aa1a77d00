"""One acquisition is often reconstructed several times: which series show the same as another."""

from collections.abc import Callable, Sequence

from core.io.scans import Scan
from core.screening.series import Series, rank

SAME_TIME_S = 15.0  # two phases are further apart, two reconstructions of one are not


def redundant(candidates: Sequence[Series], off_mm: Callable[[Series], float]) -> dict[str, str]:
    """Scans that show what a better one of their study shows.

    The path decides at last, so that the choice is always the same.

    Args:
      candidates: series that may be used.
      off_mm: of the paper's rules.

    Returns:
      Id of each to the id of the one that is kept instead.
    """

    def place(series: Series) -> tuple:
        return *rank(series, off_mm(series)), series.name, series.scan.id

    kept: list[Series] = []
    left_out: dict[str, str] = {}
    for candidate in sorted(candidates, key=place):
        better = next((k for k in kept if _same_acquisition(candidate, k)), None)
        if better is None:
            kept.append(candidate)
        else:
            left_out[candidate.scan.id] = better.scan.id
    return left_out


def _same_acquisition(a: Series, b: Series) -> bool:
    """Same study, place and phase, and as far as the headers tell the same time."""
    if a.scan.kind != "dicom" or b.scan.kind != "dicom":
        return False
    if (a.study, a.phase) != (b.study, b.phase):
        return False
    if a.acquisition.frame_of_reference != b.acquisition.frame_of_reference:
        return False
    times = (a.acquisition.acquired_s, b.acquisition.acquired_s)
    if times[0] is None or times[1] is None:
        # Two series of unknown phase may be two phases; without a time both are kept.
        return a.phase != "unknown" and _overlap(a.scan, b.scan)
    return abs(times[0] - times[1]) <= SAME_TIME_S and _overlap(a.scan, b.scan)


def _overlap(a: Scan, b: Scan) -> bool:
    """Whether the shorter of two scans shares half its height with the other."""
    (low_a, high_a), (low_b, high_b) = _span_mm(a), _span_mm(b)
    shared = min(high_a, high_b) - max(low_a, low_b)
    return shared >= 0.5 * min(high_a - low_a, high_b - low_b)


def _span_mm(scan: Scan) -> tuple[float, float]:
    ends = scan.frames[0].position_mm[2], scan.frames[-1].position_mm[2]
    return min(ends), max(ends)
