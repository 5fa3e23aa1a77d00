"""Which images of a patient's folder are looked at, and why all others are not.

A paper's rules say which series are wanted; every file ends in one bucket. Where one acquisition
was reconstructed several times, the best one is used. Series are kept apart by the study of their
headers, and two patients under one path are told apart.
"""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from core.errors import InputError
from core.io.dicom.identity import StudyKey, study_key
from core.io.inventory import Bucket, File, take_inventory
from core.io.scans import Scan, VolumeCache
from core.phases import Phase
from core.screening.reconstructions import redundant
from core.screening.series import Rules, Series, judge


class ScreenedFile(NamedTuple):
    """What became of one file.

    Args:
      path: where it is; a member of an archive lies below the archive's name.
      bucket: used, skipped or error.
      reason: empty where it is used.
      series: the id of the scan it is part of; empty where none.
      phase: of its series; empty where nobody asked for it.
      evidence: what tells the phase.
    """

    path: Path
    bucket: Bucket
    reason: str
    series: str = ""
    phase: str = ""
    evidence: str = ""


@dataclass(frozen=True)
class Screening:
    """What screening a patient's folder gave.

    Args:
      folder: the patient's folder.
      series: what is used, in the order of the paths; may be empty.
      files: every file, in the order of the paths.
      num_patients: whose series these are, by their headers.
    """

    folder: Path
    series: tuple[Series, ...]
    files: tuple[ScreenedFile, ...]
    num_patients: int

    @property
    def studies(self) -> list[list[Series]]:
        """Series of each study, the newest study first; empty without any series."""
        studies: dict[int, list[Series]] = defaultdict(list)
        for series in self.series:
            studies[series.study].append(series)
        return [studies[number] for number in sorted(studies)]

    def count(self, bucket: Bucket) -> int:
        """Files in a bucket."""
        return sum(file.bucket == bucket for file in self.files)


def screen(
    folder: str | Path,
    rules: Rules,
    *,
    work: Path | None = None,
    phases: Mapping[str, Phase] | None = None,
    volumes: VolumeCache | None = None,
) -> Screening:
    """Screen one patient; headers first, and voxels only where nothing else tells the phase.

    Args:
      folder: the patient's folder or archive, as a hospital exports it; or a single image.
      rules: which series are used.
      work: keeps the index of the headers and what was unpacked, so that an interrupted screening
        goes on from there.
      phases: the user's table of this patient's phases, see `phases_of_patient` in
        `core.phases.evidence`.
      volumes: keeps the volumes that had to be read.

    Returns:
      What is used, which may be nothing, and what became of every file.

    Raises:
      InputError: there is nothing at the path.
    """
    folder, volumes = Path(folder), volumes or VolumeCache()
    judged: dict[str, Series] = {}
    with take_inventory(folder, min_slices=rules.min_slices, work=work) as inventory:
        files = list(inventory.files())
        names = _names(files, folder)
        for scan in inventory.scans():
            name = names[scan.id]
            series = judge(scan, rules, name=name, phases=phases or {}, volumes=volumes)
            if series.bucket != "used":  # neither its voxels nor its headers stay in memory
                volumes.forget(scan)
                series = replace(series, scan=replace(scan, frames=()))
            judged[scan.id] = series
        keys = {id_: _study_key(s.scan) for id_, s in judged.items() if s.bucket == "used"}
    for id_, number in _numbered(keys).items():
        judged[id_] = replace(judged[id_], study=number)
    for id_, better in redundant([judged[id_] for id_ in keys], rules.off_mm).items():
        reason = f"another reconstruction of the same phase: {better} is used"
        judged[id_] = replace(judged[id_], bucket="skipped", reason=reason)
    return Screening(
        folder,
        tuple(series for series in judged.values() if series.bucket == "used"),
        tuple(_screened(file, judged) for file in files),
        len({key.patient for key in keys.values() if key.patient}),
    )


def require_one_patient(screening: Screening) -> None:
    """Refuse a path with the series of several patients.

    Raises:
      InputError: there are several, by the PatientID of the headers, which is not shown.
    """
    if screening.num_patients > 1:
        raise InputError(
            f"holds CT of {screening.num_patients} patients, by the PatientID of their headers",
            path=screening.folder,
            hint="give the folder of each patient by itself",
        )


def _study_key(scan: Scan) -> StudyKey:
    """Patient and study of a scan; a NIfTI file does not tell."""
    return StudyKey() if scan.kind == "nifti" else study_key(scan.frames[0].path)


def _numbered(keys: Mapping[str, StudyKey]) -> dict[str, int]:
    """Number of each scan's study, the newest first; what tells no study belongs to the newest."""
    dates: dict[str, str] = {}
    for key in keys.values():
        if key.study:
            dates[key.study] = max(dates.get(key.study, ""), key.date)
    # Sorting is stable: of one date, the order is that of the paths.
    order = sorted(dates, key=lambda study: dates[study], reverse=True)
    return {id_: order.index(key.study) if key.study else 0 for id_, key in keys.items()}


def _screened(file: File, judged: Mapping[str, Series]) -> ScreenedFile:
    if not file.scan:
        return ScreenedFile(file.path, file.bucket, file.reason)
    series = judged[file.scan]
    verdict = (series.bucket, series.reason, series.scan.id, series.phase, series.evidence)
    return ScreenedFile(file.path, *verdict)


def _names(files: Sequence[File], folder: Path) -> dict[str, str]:
    """Path of each scan below the patient's folder: its one file, or the folder of its images."""
    members: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        if file.scan:
            members[file.scan].append(file.path)
    names = {}
    for scan, paths in members.items():
        parents = Path(os.path.commonpath([path.parent for path in paths]))
        names[scan] = path_below(paths[0] if len(paths) == 1 else parents, folder)
    return names


def path_below(path: Path, folder: Path) -> str:
    """How a file is named: below the patient's folder, or by its own name where it is the whole."""
    return path.name if path == folder and folder.is_file() else path.relative_to(folder).as_posix()
