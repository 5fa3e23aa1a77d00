r"""Diagnoses of PANORAMA, from the table beside its nnU-Net folders.

Images are called `<patient>_<study>_0000.nii.gz`; the table clinical_information has the columns
PANORAMA_patient_id, PANORAMA_study_id and label, "PDAC" or "non-PDAC".

Source: https://panorama.grand-challenge.org
"""

import re
from pathlib import Path

from core.csv_io import read_rows
from core.datasets.case import PANORAMA_CASE, Dataset
from core.errors import InputError

TABLES = ("clinical_information.csv", "clinical_information.xlsx")
DIAGNOSES = {"PDAC": True, "non-PDAC": False}


def is_panorama(dataset: Dataset) -> bool:
    """Whether every case is named like one of PANORAMA."""
    return all(re.fullmatch(PANORAMA_CASE, case.id) for case in dataset.cases)


def read_diagnoses(root: Path) -> dict[str, bool]:
    """Whether a case is one of cancer, by its id; empty where the table is not there.

    Args:
      root: the folder of the data set; the table lies in it or in a folder of it.

    Raises:
      InputError: a label that is neither "PDAC" nor "non-PDAC".
    """
    places = (p for name in TABLES for p in (root / name, *sorted(root.glob(f"*/{name}"))))
    path = next((p for p in places if p.is_file()), None)
    diagnoses = {}
    for row in read_rows(path) if path else []:
        patient, study, label = (
            row.get(name, "") for name in ("panorama_patient_id", "panorama_study_id", "label")
        )
        if not label:
            continue
        if label not in DIAGNOSES:
            raise InputError(f"label must be PDAC or non-PDAC; got {label!r}", path=path)
        id_ = study if "_" in study else f"{_number(patient):06d}_{_number(study):05d}"
        diagnoses[id_] = DIAGNOSES[label]
    return diagnoses


def _number(text: str) -> int:
    """Of a cell that a spreadsheet may have made 7.0."""
    return int(float(text))
