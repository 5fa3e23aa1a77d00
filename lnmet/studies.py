"""The arterial and the venous series of a DICOM study, told apart by screening.

A hospital's study holds reformats, other phases, and several reconstructions of each, some of the
chest alone. Of those of one phase the best for segmentation is taken: axial, with the liver in it,
at most 5 mm thick, of a soft kernel, original rather than derived, with the thinnest slices and the
most of them; the id decides at last, so that the choice is always the same.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, get_args

from core.errors import InputError
from core.io.dicom.acquisition import Acquisition, read_acquisition
from core.io.dicom.geometry import normal
from core.io.dicom.identity import study_key
from core.io.scans import Scan, VolumeCache, read_grid
from core.phases.evidence import SeriesPhase, phase_of, phase_of_header
from core.phases.image import scan_enhancement
from core.phases.reconstruction import no_tissue, reformat, sharpness
from lnmet.config import Phase

THICKEST_MM = 5.0
"""Thicker slices are taken only where a phase has no others."""
PHASES: tuple[Phase, ...] = get_args(Phase)


class Choice(NamedTuple):
    """Series of a study by phase, and what was chosen and what not, in words."""

    scans: Mapping[Phase, Scan]
    notes: tuple[str, ...] = ()


class Series(NamedTuple):
    """A series among others of its study.

    Args:
      scan: its images.
      acquisition: what its header says.
      slice_mm: thickness of its slices, or the step between them where that is longer.
      unfit: why it is not used, whatever its phase; empty where it may be.
      told: its phase; empty where it is unfit.
    """

    scan: Scan
    acquisition: Acquisition
    slice_mm: float
    unfit: str
    told: SeriesPhase


def studies_of(scans: Sequence[Scan]) -> list[list[Scan]]:
    """DICOM scans by patient and study, in the order of the first scan of each.

    A scan whose header names no study is one by itself: its neighbors may be of other patients.
    """
    studies: dict[tuple[str, str, str], list[Scan]] = {}
    for scan in scans:
        key = study_key(scan.frames[0].path)
        alone = "" if key.study else scan.id
        studies.setdefault((key.patient, key.study, alone), []).append(scan)
    return list(studies.values())


def choose(study: Sequence[Scan]) -> Choice:
    """The arterial and the venous series among the DICOM scans of one study.

    Either may be absent. A series alone in its study is taken for the venous one. Voxels are read
    only of series whose phase nothing else tells, and where a phase has several series.

    Raises:
      InputError: neither phase is found.
    """
    if len(study) == 1:
        return _alone(study[0])
    num_here = Counter(scan.path for scan in study)
    # The name of a folder says nothing of one of several series in it.
    series = [_judge(s, s.path.name if num_here[s.path] == 1 else "") for s in study]
    chosen = _best(series)
    others = [one for one in series if one not in chosen.values()]
    left_out = ", ".join(f"{one.scan.id} ({_why_not(one)})" for one in others)
    if not chosen:
        raise InputError(
            f"neither the arterial nor the venous phase is found: {left_out}",
            hint="name the two series with --arterial and --venous",
        )
    notes = [_note(phase, chosen[phase]) for phase in PHASES if phase in chosen]
    notes += [f"not used: {left_out}"] if others else []
    return Choice({phase: one.scan for phase, one in chosen.items()}, tuple(notes))


def _best(series: Sequence[Series]) -> dict[Phase, Series]:
    """The best series of each phase; one that is the only one of use is the venous one."""
    fit = sorted((one for one in series if not one.unfit), key=_rank)
    if [one.told.phase for one in fit] == ["unknown"]:
        return {"venous": fit[0]}
    best: dict[Phase, Series] = {}
    for phase in PHASES:
        if of_phase := [one for one in fit if one.told.phase == phase]:
            best[phase] = of_phase[0] if len(of_phase) == 1 else _first_of_abdomen(of_phase)
    return best


def _first_of_abdomen(series: Sequence[Series]) -> Series:
    """First series that shows the liver; without any, the first."""
    return next((one for one in series if _shows_liver(one.scan)), series[0])


def _shows_liver(scan: Scan) -> bool:
    try:
        return not math.isnan(scan_enhancement(scan, VolumeCache(max_bytes=0)).liver_hu)
    except InputError:  # what cannot be read is no better than what shows something else
        return False


def _alone(scan: Scan) -> Choice:
    told = phase_of_header(_acquisition(scan), name=scan.path.name)
    if told is None or told.phase == "venous":
        return Choice({"venous": scan})
    note = f"{scan.id} is alone and taken for the venous phase, but {told.phase} ({told.evidence})"
    return Choice({"venous": scan}, (note,))


def _judge(scan: Scan, name: str) -> Series:
    acquisition = _acquisition(scan)
    slice_mm = max(acquisition.thickness_mm or 0.0, read_grid(scan).spacing_mm[0])
    unfit = no_tissue(acquisition.description) or reformat(normal(scan.frames[0]))
    if unfit:
        told = SeriesPhase("unknown", "")
    else:
        volumes = VolumeCache(max_bytes=0)  # nobody reads these voxels again
        told = phase_of(scan, acquisition, name=name, table={}, volumes=volumes)
    return Series(scan, acquisition, slice_mm, unfit, told)


def _acquisition(scan: Scan) -> Acquisition:
    return read_acquisition(scan.frames[len(scan.frames) // 2].path)


def _rank(one: Series) -> tuple[bool, int, bool, float, int, str]:
    slice_mm = round(one.slice_mm, 1)  # positions are rounded
    return (
        slice_mm > THICKEST_MM,
        sharpness(one.acquisition.kernel, one.acquisition.description),
        "DERIVED" in one.acquisition.image_type,
        slice_mm,
        -len(one.scan.frames),
        one.scan.id,
    )


def _note(phase: Phase, one: Series) -> str:
    told = one.told.evidence if one.told.phase == phase else "the only axial series"
    size = f"{len(one.scan.frames)} slices of {one.slice_mm:.1f} mm"
    return f"{phase}: {one.scan.id} ({told}), {size}"


def _why_not(one: Series) -> str:
    if one.unfit:
        return one.unfit
    return f"{'another ' if one.told.phase in PHASES else ''}{one.told.phase} series"
