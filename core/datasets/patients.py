"""Patients as a hospital exports them: a table, a folder of raw DICOM each, masks of some.

    patients.csv                         patient,tumor,tumor_type
    patients/<patient>/…                 or <patient>.zip: anything, at any depth
    masks/<patient>/<phase>.nii.gz       or masks/<patient>.nii.gz, of the arterial phase
    phases.csv                           series,phase where headers do not tell it; optional

A mask has 0 for background, 1 for pancreas and 2 for tumor, on the grid of its phase's series.
Names are compared as readers see them: a Mac and a spreadsheet may write accents in two ways.
"""

from pathlib import Path
from typing import NamedTuple

from core.csv_io import column_names, read_rows
from core.datasets.series_masks import SeriesMask, mask_in_file
from core.errors import InputError
from core.io.paths import Skipped, on_disk
from core.io.volume_file import ENDINGS, without_ending
from core.names import normal

TABLE, STUDIES, MASKS, PHASES = "patients.csv", "patients", "masks", "phases.csv"
TRUTHS = {"0": False, "1": True, "": None}
MASK_PHASE = "arterial"


class Patient(NamedTuple):
    """One patient."""

    id: str
    """As the table writes it, accents composed."""
    study: Path
    """Folder or archive of the files."""
    tumor: bool | None
    """Whether there is one; None if the table does not tell."""
    tumor_type: str
    """Such as PDAC; "" if not told."""
    masks: tuple[SeriesMask, ...]
    """Of some or all series."""


class Patients(NamedTuple):
    """All patients of a folder, and what was left out."""

    patients: tuple[Patient, ...]
    skipped: tuple[Skipped, ...]


def read_patients(root: Path) -> Patients:
    """Patients of the table in their order.

    Args:
      root: the folder that holds patients.csv.

    Raises:
      InputError: the table is damaged, or none of its patients has files.
    """
    path, (studies, skipped) = root / TABLE, _studies(root / STUDIES)
    rows, patients = _rows(path), []
    for name, row in rows.items():
        if name not in studies:
            skipped.append(Skipped(root / STUDIES / name, f"in {TABLE}, but not there", True))
            continue
        if (tumor := row.get("tumor", "")) not in TRUTHS:
            raise InputError(f"tumor of {name!r} must be 0 or 1; got {tumor!r}", path=path)
        kind, paths = row.get("tumor_type", ""), _masks(root / MASKS, name)
        masks = tuple(mask_in_file(path, phase) for phase, path in paths.items())
        patients.append(Patient(name, studies[name], TRUTHS[tumor], kind, masks))
    skipped += [Skipped(studies[n], f"not in {TABLE}") for n in studies if n not in rows]
    skipped += _orphans(root / MASKS, set(rows))
    if not patients:
        raise InputError(f"no patient of {TABLE} has files in {STUDIES}/", path=root)
    return Patients(tuple(patients), tuple(skipped))


def _rows(path: Path) -> dict[str, dict[str, str]]:
    if absent := {"patient", "tumor"} - set(column_names(path)):
        raise InputError(f"has no column {' and '.join(sorted(absent))}", path=path)
    rows: dict[str, dict[str, str]] = {}
    for row in read_rows(path):
        if (name := normal(row.get("patient", ""))) and rows.setdefault(name, row) is not row:
            raise InputError(f"two rows about {name!r}", path=path, hint="keep one")
    return rows


def _studies(folder: Path) -> tuple[dict[str, Path], list[Skipped]]:
    """Folder or archive of each patient, and what is neither or comes twice."""
    studies: dict[str, Path] = {}
    skipped = []
    for place in sorted(folder.iterdir()) if folder.is_dir() else []:
        is_archive = place.suffix.lower() == ".zip"
        name = normal(place.stem if is_archive and place.is_file() else place.name)
        if not (place.is_dir() or is_archive):
            skipped.append(Skipped(place, "neither a folder nor a .zip of a patient"))
        elif name in studies:
            skipped.append(Skipped(place, f"{studies[name].name} is used for this patient"))
        else:
            studies[name] = place
    return studies, skipped


def _masks(folder: Path, patient: str) -> dict[str, Path]:
    masks = sorted(on_disk(folder / patient).glob("*"))
    inside = {_stem(p): p for p in masks if p.name.endswith(ENDINGS)}
    alone = next((p for e in ENDINGS if (p := on_disk(folder / f"{patient}{e}")).is_file()), None)
    return inside if alone is None else {MASK_PHASE: alone, **inside}


def _orphans(folder: Path, patients: set[str]) -> list[Skipped]:
    places = sorted(folder.iterdir()) if folder.is_dir() else []
    return [Skipped(p, f"not in {TABLE}") for p in places if _stem(p) not in patients]


def _stem(path: Path) -> str:
    return normal(without_ending(path.name))
