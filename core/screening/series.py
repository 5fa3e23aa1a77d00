"""Whether a series is one that a system looks at: axial CT of tissue in HU, in a wanted phase."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.io.dicom.acquisition import Acquisition, read_acquisition
from core.io.dicom.geometry import normal
from core.io.inventory import MIN_SLICES, Bucket
from core.io.scans import Scan, VolumeCache, read_grid
from core.phases import Phase
from core.phases.evidence import phase_of
from core.phases.landmarks import AIR_HU
from core.phases.reconstruction import no_tissue, reformat, sharpness
from core.volume import Volume, canonical

COARSER = 1.5  # a step this much longer than the pixels is the one between slices


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


class Rules(NamedTuple):
    """What a paper says of the series that it looks at; by default any axial CT will do.

    Args:
      refuse_size: rows and columns of an image → why it is not used; empty where it may be.
      phases: that are used; "unknown" is one.
      min_slices: fewer images are no volume.
      off_mm: series → how far the thickness of its slices is from what is wanted.
    """

    refuse_size: Callable[[tuple[int, ...]], str] = lambda size: ""
    phases: Collection[str] = get_args(Phase)
    min_slices: int = MIN_SLICES
    off_mm: Callable[[Series], float] = lambda series: 0.0


def judge(
    scan: Scan, rules: Rules, *, name: str, phases: Mapping[str, Phase], volumes: VolumeCache
) -> Series:
    """Judge one scan by itself.

    Args:
      scan: what to judge.
      rules: of the paper.
      name: its path below the patient's folder.
      phases: the user's table of this patient's phases; empty for none.
      volumes: keeps what has to be read.
    """
    series = Series(scan, name=name, acquisition=acquisition_of(scan))
    try:
        reason = _refusal(series, rules, volumes)
    except InputError as error:
        return replace(series, bucket="error", reason=error.message)
    if reason:
        return replace(series, bucket="skipped", reason=reason)
    phase, evidence = phase_of(scan, series.acquisition, name=name, table=phases, volumes=volumes)
    series = replace(series, phase=phase, evidence=evidence)
    return (
        series
        if phase in rules.phases
        else replace(series, bucket="skipped", reason=f"{phase} phase")
    )


def acquisition_of(scan: Scan) -> Acquisition:
    """What the header of a scan's middle image says; a NIfTI file has none."""
    if scan.kind == "nifti":
        return Acquisition()
    return read_acquisition(scan.frames[len(scan.frames) // 2].path)


def volume_refusal(volume: Volume, rules: Rules) -> str:
    """Why a volume is not used, by its grid alone; empty where it may be.

    Args:
      volume: in the orientation it is stored in.
      rules: of the paper.
    """
    upright = canonical(volume)
    reason = reformat(_slice_normal(volume)) or rules.refuse_size(upright.shape[1:])
    if not reason and upright.shape[0] < rules.min_slices:
        reason = f"{upright.shape[0]} slices, fewer than {rules.min_slices}"
    return reason


def rank(series: Series, off_mm: float) -> tuple[int, bool, float, int]:
    """Sorts reconstructions of DICOM series, the best for soft tissue first.

    Of a soft kernel, original rather than derived, as thick as wanted, with the most slices.

    Args:
      series: to rank.
      off_mm: how far the thickness of its slices is from what is wanted.
    """
    acquisition = series.acquisition
    return (
        sharpness(acquisition.kernel, acquisition.description),
        "DERIVED" in acquisition.image_type,
        off_mm,
        -len(series.scan.frames),
    )


def _refusal(series: Series, rules: Rules, volumes: VolumeCache) -> str:
    """Why a scan is not used, whatever its phase; empty where it may be."""
    if series.scan.kind == "nifti":
        return _nifti_refusal(series.scan, rules, volumes)
    if reason := no_tissue(series.acquisition.description):
        return reason
    first = series.scan.frames[0]
    return reformat(normal(first)) or rules.refuse_size(first.size)


def _nifti_refusal(scan: Scan, rules: Rules, volumes: VolumeCache) -> str:
    if reason := volume_refusal(read_grid(scan), rules):
        return reason
    # A mask, or a slice of gray values, has the grid of a CT and no air.
    is_ct = volumes.read(scan).array.min() < AIR_HU
    return "" if is_ct else "a mask or no CT: nothing is air"


def _slice_normal(grid: Volume) -> NDArray[np.float64]:
    """Direction between slices: along the coarsest axis if it stands out, else along the body's."""
    longest, second = sorted(range(3), key=lambda axis: -grid.spacing_mm[axis])[:2]
    if grid.spacing_mm[longest] >= COARSER * grid.spacing_mm[second]:
        return grid.direction[:, longest]
    return grid.direction[:, int(np.argmax(np.abs(grid.direction[2])))]
