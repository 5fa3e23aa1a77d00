"""Which images of a patient's folder are looked at, and why all others are not.

The paper's rule: axial images of 512 × 512 pixels in a contrast phase. Every file ends in one
bucket. Where one acquisition was reconstructed several times, the best one is used. Series are kept
apart by the study of their headers, and two patients under one path are told apart.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from core.csv_io import write_csv
from core.errors import InputError
from core.io.dicom.acquisition import Acquisition, read_acquisition
from core.io.dicom.identity import StudyKey, study_key
from core.io.inventory import Bucket, File, take_inventory
from core.io.scans import Scan
from fee.config import ScreenConfig
from fee.eligibility import Verdict, judge
from fee.phase_text import Phase
from fee.reconstructions import Candidate, redundant
from fee.volume_cache import VolumeCache


@dataclass(frozen=True)
class Series:
    """A scan that is used.

    Args:
      scan: its images.
      phase: contrast phase.
      evidence: what tells the phase.
      study: number of its study among the patient's, the newest is 0.
    """

    scan: Scan
    phase: Phase
    evidence: str
    study: int = 0


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
      phases: the user's table of this patient's phases, see `fee.phases.phases_of_patient`.
      volumes: keeps the volumes that had to be read.

    Returns:
      What is used, which may be nothing, and what became of every file.

    Raises:
      InputError: there is nothing at the path.
    """
    folder, volumes = Path(folder), volumes or VolumeCache()
    with take_inventory(folder, min_slices=cfg.min_slices, work=work) as inventory:
        files = list(inventory.files())
        names = _names(files, folder)
        verdicts: dict[str, Verdict] = {}
        candidates: list[Candidate] = []
        for scan in inventory.scans():
            name, acquisition = names[scan.id], _acquisition(scan)
            verdict = judge(scan, acquisition, name, cfg, phases or {}, volumes)
            verdicts[scan.id] = verdict
            if verdict.bucket == "used" and verdict.series_phase:
                candidates.append(Candidate(scan, name, acquisition, verdict.series_phase))
            else:
                volumes.forget(scan)
        keys = {c.scan.id: _study_key(c.scan) for c in candidates}
    study_of = _numbered(keys)
    for number in set(study_of.values()):
        members = [c for c in candidates if study_of[c.scan.id] == number]
        for id_, better in redundant(members).items():
            reason = f"another reconstruction of the same phase: {better} is used"
            verdicts[id_] = verdicts[id_]._replace(bucket="skipped", reason=reason)
    used = [c for c in candidates if verdicts[c.scan.id].bucket == "used"]
    return Screening(
        folder,
        tuple(
            Series(c.scan, c.series_phase.phase, c.series_phase.evidence, study_of[c.scan.id])
            for c in used
        ),
        tuple(_screened(file, verdicts) for file in files),
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


def _acquisition(scan: Scan) -> Acquisition:
    if scan.kind == "nifti":
        return Acquisition()
    return read_acquisition(scan.frames[len(scan.frames) // 2].path)


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


def _screened(file: File, verdicts: Mapping[str, Verdict]) -> ScreenedFile:
    if not file.scan:
        return ScreenedFile(file.path, file.bucket, file.reason)
    bucket, reason, series_phase = verdicts[file.scan]
    return ScreenedFile(file.path, bucket, reason, file.scan, *(series_phase or ("", "")))


def _names(files: Sequence[File], folder: Path) -> dict[str, str]:
    """Path of each scan below the patient's folder: the NIfTI file, or the folder of its images."""
    members: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        if file.scan:
            members[file.scan].append(file.path)
    return {scan: _below(_place(paths), folder) for scan, paths in members.items()}


def _place(paths: Sequence[Path]) -> Path:
    if len(paths) == 1:
        return paths[0]
    return Path(os.path.commonpath([path.parent for path in paths]))


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
