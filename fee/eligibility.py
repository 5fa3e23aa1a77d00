"""Which scans are used: axial CT of the right size, in HU, in a wanted phase, the best of its kind.

One acquisition is often reconstructed several times. The best for soft tissue is kept: of a soft
kernel, original rather than derived, 3 to 5 mm thick as in the paper, with the most slices; the
path decides at last, so that the choice is always the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.io.dicom.acquisition import Acquisition, read_acquisition
from core.io.dicom.geometry import normal
from core.io.inventory import Bucket
from core.io.scans import Scan, VolumeCache, read_grid
from core.phases import Phase
from core.phases.evidence import phase_of
from core.phases.landmarks import AIR_HU
from core.phases.reconstruction import no_tissue, reformat, sharpness
from core.volume import Volume, canonical
from fee.config import ScreenConfig

COARSER = 1.5  # a step this much longer than the pixels is the one between slices

THICKNESS_MM = (3.0, 5.0)  # Methods, Patients
SAME_TIME_S = 15.0  # two phases are further apart, two reconstructions of one are not


@dataclass(frozen=True)
class Series:
    """A scan, and what screening says of it.

    Args:
      scan: its images.
      phase: contrast phase; empty where nobody asked for it.
      evidence: what tells the phase.
      name: its path below the patient's folder.
      acquisition: what its header says.
      bucket: used, skipped or error.
      reason: empty where it is used.
      study: number of its study among the patient's, the newest is 0.
    """

    scan: Scan
    phase: Phase | Literal[""] = ""
    evidence: str = ""
    name: str = ""
    acquisition: Acquisition = field(default_factory=Acquisition)
    bucket: Bucket = "used"
    reason: str = ""
    study: int = 0


def judge(
    scan: Scan, name: str, cfg: ScreenConfig, phases: Mapping[str, Phase], volumes: VolumeCache
) -> Series:
    """Judge one scan by itself.

    Args:
      scan: what to judge.
      name: its path below the patient's folder.
      cfg: which series are used.
      phases: the user's table of this patient's phases; empty for none.
      volumes: keeps what has to be read.
    """
    acquisition = Acquisition()
    if scan.kind == "dicom":
        acquisition = read_acquisition(scan.frames[len(scan.frames) // 2].path)
    series = Series(scan, name=name, acquisition=acquisition)
    try:
        reason = _refusal(series, cfg, volumes)
    except InputError as error:
        return replace(series, bucket="error", reason=error.message)
    if reason:
        return replace(series, bucket="skipped", reason=reason)
    phase, evidence = phase_of(scan, acquisition, name=name, table=phases, volumes=volumes)
    series = replace(series, phase=phase, evidence=evidence)
    if phase in cfg.phases or (phase == "unknown" and cfg.unknown == "use"):
        return series
    return replace(series, bucket="skipped", reason=f"{phase} phase")


def redundant(candidates: Sequence[Series]) -> dict[str, str]:
    """Scans that show what a better one of their study shows.

    Returns:
      Id of each to the id of the one that is kept instead.
    """
    kept: list[Series] = []
    left_out: dict[str, str] = {}
    for candidate in sorted(candidates, key=_rank):
        better = next((k for k in kept if _same_acquisition(candidate, k)), None)
        if better is None:
            kept.append(candidate)
        else:
            left_out[candidate.scan.id] = better.scan.id
    return left_out


def _refusal(series: Series, cfg: ScreenConfig, volumes: VolumeCache) -> str:
    """Why a scan is not used, whatever its phase; empty where it may be."""
    if series.scan.kind == "nifti":
        return _nifti_refusal(series.scan, cfg, volumes)
    if reason := no_tissue(series.acquisition.description):
        return reason
    first = series.scan.frames[0]
    return reformat(normal(first)) or _size(first.size, cfg)


def _nifti_refusal(scan: Scan, cfg: ScreenConfig, volumes: VolumeCache) -> str:
    grid = read_grid(scan)
    upright = canonical(grid)
    reason = reformat(_slice_normal(grid)) or _size(upright.shape[1:], cfg)
    if reason:
        return reason
    if upright.shape[0] < cfg.min_slices:
        return f"{upright.shape[0]} slices, fewer than {cfg.min_slices}"
    # A mask, or a slice of gray values, has the grid of a CT and no air.
    is_ct = volumes.read(scan).array.min() < AIR_HU
    return "" if is_ct else "a mask or no CT: nothing is air"


def _slice_normal(grid: Volume) -> NDArray[np.float64]:
    """Direction between slices: along the coarsest axis if it stands out, else along the body's."""
    longest, second = sorted(range(3), key=lambda axis: -grid.spacing_mm[axis])[:2]
    if grid.spacing_mm[longest] >= COARSER * grid.spacing_mm[second]:
        return grid.direction[:, longest]
    return grid.direction[:, int(np.argmax(np.abs(grid.direction[2])))]


def _size(size: tuple[int, ...], cfg: ScreenConfig) -> str:
    if cfg.size == 0 or size == (cfg.size, cfg.size):
        return ""
    return f"{size[0]} × {size[1]} pixels, not {cfg.size} × {cfg.size}"


def _rank(candidate: Series) -> tuple[int, bool, float, int, str, str]:
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
