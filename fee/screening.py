"""Which images of a patient's folder are looked at, and why all others are not.

The paper's rule: axial images of 512 × 512 pixels in a contrast phase. Every file ends in one
bucket. Where one acquisition was reconstructed several times, the best one is used. Series are kept
apart by the study of their headers, and two patients under one path are told apart.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from core.csv_io import write_csv
from core.errors import InputError
from core.io.dicom.identity import StudyKey, study_key
from core.io.inventory import Bucket, File, take_inventory
from core.io.scans import Scan, VolumeCache
from core.phases import Phase
from fee.config import ScreenConfig
from fee.eligibility import Series, judge, redundant


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

    @property
    def num_used(self) -> int:
        """Files that belong to a series that is used."""
        return self._count("used")

    @property
    def num_skipped(self) -> int:
        """Files that are left out on purpose."""
        return self._count("skipped")

    @property
    def num_error(self) -> int:
        """Files that promise an image and are damaged."""
        return self._count("error")

    def _count(self, bucket: Bucket) -> int:
        return sum(file.bucket == bucket for file in self.files)


def screen(
    folder: str | Path,
    cfg: ScreenConfig,
    *,
    work: Path | None = None,
    phases: Mapping[str, Phase] | None = None,
    volumes: VolumeCache | None = None,
) -> Screening:
    """Screen one patient; headers first, and voxels only where nothing else tells the phase.

    Args:
      folder: the patient's folder or archive, as a hospital exports it; or a single image.
      cfg: which series are used.
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
    found: dict[str, Series] = {}
    with take_inventory(folder, min_slices=cfg.min_slices, work=work) as inventory:
        files = list(inventory.files())
        names = _names(files, folder)
        for scan in inventory.scans():
            series = judge(scan, names[scan.id], cfg, phases or {}, volumes)
            if series.bucket != "used":  # neither its voxels nor its headers stay in memory
                volumes.forget(scan)
                series = replace(series, scan=replace(scan, frames=()))
            found[scan.id] = series
        keys = {id_: _study_key(one.scan) for id_, one in found.items() if one.bucket == "used"}
    for id_, number in _numbered(keys).items():
        found[id_] = replace(found[id_], study=number)
    for id_, better in redundant([found[id_] for id_ in keys]).items():
        reason = f"another reconstruction of the same phase: {better} is used"
        found[id_] = replace(found[id_], bucket="skipped", reason=reason)
    return Screening(
        folder,
        tuple(series for series in found.values() if series.bucket == "used"),
        tuple(_screened(file, found) for file in files),
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


def write_screening(out: str | Path, screening: Screening) -> Path:
    """Write `screening.csv`: a row per file, with its path below the patient's folder."""
    path = Path(out) / "screening.csv"
    rows = [{**f._asdict(), "path": _below(f.path, screening.folder)} for f in screening.files]
    write_csv(path, rows)
    return path


def summary(screening: Screening) -> str:
    """Counts in one line: "used 308 of 512 files: arterial 154, venous 154; skipped: …"."""
    used = Counter(file.phase for file in screening.files if file.bucket == "used")
    line = f"used {screening.num_used:,} of {len(screening.files):,} files"
    line += f": {_counts(used)}" if used else ""
    for bucket, title in (("skipped", "skipped"), ("error", "errors")):
        reasons = Counter(_kind(f.reason) for f in screening.files if f.bucket == bucket)
        line += f"; {title}: {_counts(reasons, number_first=True)}" if reasons else ""
    return line


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


def _screened(file: File, found: Mapping[str, Series]) -> ScreenedFile:
    if not file.scan:
        return ScreenedFile(file.path, file.bucket, file.reason)
    one = found[file.scan]
    return ScreenedFile(file.path, one.bucket, one.reason, file.scan, one.phase, one.evidence)


def _names(files: Sequence[File], folder: Path) -> dict[str, str]:
    """Path of each scan below the patient's folder: its one file, or the folder of its images."""
    members: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        if file.scan:
            members[file.scan].append(file.path)
    names = {}
    for scan, paths in members.items():
        parents = Path(os.path.commonpath([path.parent for path in paths]))
        names[scan] = _below(paths[0] if len(paths) == 1 else parents, folder)
    return names


def _below(path: Path, folder: Path) -> str:
    return path.name if path == folder and folder.is_file() else path.relative_to(folder).as_posix()


def _kind(reason: str) -> str:
    """A reason without what only belongs to one file or series."""
    reason = re.sub(r"^series( '.*')? of \d+ slices?: ", "", reason)
    reason = re.sub(r"^a duplicate of .*", "a duplicate", reason)
    reason = re.sub(r"^an? ", "", reason)
    return re.split(r": |[;,(]| of [\d.]+ degrees| between [\d.-]+ ", reason)[0].strip()


def _counts(counts: Counter[str], *, number_first: bool = False) -> str:
    form = "{1:,} {0}" if number_first else "{0} {1:,}"
    return ", ".join(form.format(*item) for item in counts.most_common())
