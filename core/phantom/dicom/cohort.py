"""A cohort of phantoms as hospitals export patients: raw DICOM studies, a table, and the truth."""

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from core import check
from core.atomic import aside, new_folder
from core.io.nifti import write
from core.phantom.ct.cohort import draw_diameters, label_table
from core.phantom.ct.patient import stream
from core.phantom.ct.phantom import make
from core.phantom.ct.tissue import PHASES
from core.phantom.dicom.mess import NAMES, add_clutter, drop_endings, zip_study
from core.phantom.dicom.series import write_dicom_study
from core.processes import in_processes

COLUMNS = ("patient", "tumor", "tumor_type")
TYPES = {"PDAC": 379, "IPMN": 23, "PNET": 1, "SCN": 16, "other": 130}
"""Patients of each type; here they are names only, all tumors look like PDAC.

Source: Si et al. 2021, Table 1, both columns.
"""
SHARES = np.array(list(TYPES.values())) / sum(TYPES.values())
TABLE = label_table({"background": 0, "pancreas": 1, "tumor": 2})


def write_dicom_cohort(
    out: str | Path,
    *,
    num_patients: int,
    seed: int,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    tumor_fraction: float = 0.5,
    phases: Sequence[str] = PHASES,
    diameters_mm: tuple[float, float] = (8.0, 40.0),
    messy: bool = True,
    num_processes: int = 1,
) -> Path:
    """Write patients.csv, patients/<id>/ and masks/<id>/<phase>.nii.gz; all of it or nothing.

    A mask has 0 for background, 1 for pancreas and 2 for tumor, on the canonical grid of the
    series.

    Args:
      out: folder to make; equal arguments write equal bytes.
      num_patients: each healthy or with one tumor.
      seed: of the cohort.
      shape: voxels (D, H, W).
      spacing_mm: voxel size (D, H, W).
      tumor_fraction: share of the patients with a tumor, exactly up to rounding.
      phases: axial series of every patient.
      diameters_mm: smallest and largest tumor, drawn uniformly.
      messy: add localizer, coronal reformat, dose page, report and foreign files; describe series
        in three languages; leave endings out for some; of two or more patients, zip one.
      num_processes: patients made at a time; changes no byte.

    Returns:
      The folder.

    Raises:
      InputError: the folder exists and holds something.
    """
    for phase in phases:
        check.one_of("phase", phase, PHASES)
    diameters = draw_diameters(num_patients, seed, tumor_fraction, diameters_mm)
    out = new_folder(out)
    with aside(out) as folder:
        work = partial(
            _write_patient,
            folder=folder,
            seed=seed,
            shape=shape,
            spacing_mm=spacing_mm,
            phases=tuple(phases),
            messy=messy,
        )
        rows = list(in_processes(work, list(enumerate(diameters)), num_processes))
        with (folder / "patients.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
    return out


def _write_patient(
    item: tuple[int, float | None],
    *,
    folder: Path,
    seed: int,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    phases: Sequence[str],
    messy: bool,
) -> dict:
    """Write one patient, (number, tumor diameter in mm or None); return its row of patients.csv."""
    number, diameter = item
    rng = stream(seed, f"dicom patient {number}")
    patient_seed, type_ = int(rng.integers(2**31)), str(rng.choice(list(TYPES), p=SHARES))
    phantom = make(patient_seed, shape=shape, spacing_mm=spacing_mm, tumor_diameter_mm=diameter)
    patient = f"phantom_{number:03d}"
    study = folder / "patients" / patient
    extras = dict.fromkeys(("localizer", "coronal", "dose_page", "report"), messy)
    names = NAMES[number % len(NAMES)] if messy else None
    write_dicom_study(study, phantom, phases=phases, names=names, **extras)
    if messy:
        add_clutter(study)
        if number % 4 == 3:
            drop_endings(study)
        if number == 1:
            zip_study(study)
    mask = phantom.label.with_array(TABLE[phantom.label.array])
    for phase in phases:
        write(folder / "masks" / patient / f"{phase}.nii.gz", mask)
    sick = diameter is not None
    return {"patient": patient, "tumor": int(sick), "tumor_type": type_ if sick else ""}
