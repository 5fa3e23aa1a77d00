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

from core.datasets.channels import Phase
from core.errors import InputError
from core.io.dicom.identity import study_key
from core.io.scans import Scan, VolumeCache, read_grid
from core.phases.evidence import phase_of_header
from core.phases.image import scan_enhancement
from core.screening.series import Rules, Series, acquisition_of, judge, rank

THICKEST_MM = 5.0
"""Thicker slices are taken only where a phase has no others."""
PHASES: tuple[Phase, ...] = get_args(Phase)


class Choice(NamedTuple):
    """Series of a study by phase, and what was chosen and what not, in words."""

    scans: Mapping[Phase, Scan]
    notes: tuple[str, ...] = ()


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
    names = [scan.path.name if num_here[scan.path] == 1 else "" for scan in study]
    series = [_judge(scan, name) for scan, name in zip(study, names, strict=True)]
    chosen = _best(series)
    others = [other for other in series if other not in chosen.values()]
    left_out = ", ".join(f"{other.scan.id} ({_why_not(other)})" for other in others)
    if not chosen:
        raise InputError(
            f"neither the arterial nor the venous phase is found: {left_out}",
            hint="name the two series with --arterial and --venous",
        )
    notes = [_note(phase, chosen[phase]) for phase in PHASES if phase in chosen]
    notes += [f"not used: {left_out}"] if others else []
    return Choice({phase: best.scan for phase, best in chosen.items()}, tuple(notes))


def _best(series: Sequence[Series]) -> dict[Phase, Series]:
    """The best series of each phase; one that is the only one of use is the venous one."""
    fit = sorted((axial for axial in series if axial.bucket == "used"), key=_rank)
    if [axial.phase for axial in fit] == ["unknown"]:
        return {"venous": fit[0]}
    best: dict[Phase, Series] = {}
    for phase in PHASES:
        if of_phase := [axial for axial in fit if axial.phase == phase]:
            best[phase] = of_phase[0] if len(of_phase) == 1 else _first_of_abdomen(of_phase)
    return best


def _first_of_abdomen(series: Sequence[Series]) -> Series:
    """First series that shows the liver; without any, the first."""
    return next((s for s in series if _shows_liver(s.scan)), series[0])


def _shows_liver(scan: Scan) -> bool:
    try:
        return not math.isnan(scan_enhancement(scan, VolumeCache(max_bytes=0)).liver_hu)
    except InputError:  # what cannot be read is no better than what shows something else
        return False


def _alone(scan: Scan) -> Choice:
    told = phase_of_header(acquisition_of(scan), name=scan.path.name)
    if told is None or told.phase == "venous":
        return Choice({"venous": scan})
    note = f"{scan.id} is alone and taken for the venous phase, but {told.phase} ({told.evidence})"
    return Choice({"venous": scan}, (note,))


def _judge(scan: Scan, name: str) -> Series:
    volumes = VolumeCache(max_bytes=0)  # nobody reads these voxels again
    return judge(scan, Rules(), name=name, phases={}, volumes=volumes)


def _rank(series: Series) -> tuple[bool, int, bool, float, int, str]:
    slice_mm = round(_slice_mm(series), 1)  # positions are rounded
    return slice_mm > THICKEST_MM, *rank(series, slice_mm), series.scan.id


def _slice_mm(series: Series) -> float:
    """Thickness of the slices, or the step between them where that is longer."""
    return max(series.acquisition.thickness_mm or 0.0, read_grid(series.scan).spacing_mm[0])


def _note(phase: Phase, series: Series) -> str:
    evidence = series.evidence if series.phase == phase else "the only axial series"
    size = f"{len(series.scan.frames)} slices of {_slice_mm(series):.1f} mm"
    return f"{phase}: {series.scan.id} ({evidence}), {size}"


def _why_not(series: Series) -> str:
    if series.reason:
        return series.reason
    return f"{'another ' if series.phase in PHASES else ''}{series.phase} series"
