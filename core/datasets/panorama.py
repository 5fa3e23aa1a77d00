r"""PANORAMA, as it is given out or put into nnU-Net folders by a user.

    batch_1/100000_00001_0000.nii.gz     batch_3/batch_3/…      <patient>_<study>_0000.nii.gz
    panorama_labels/{manual_labels,automatic_labels}/100000_00001.nii.gz
    panorama_labels/clinical_information.xlsx, or .csv

The labels are a git repository of their own, often corrected. The table has the columns
PANORAMA_patient_id, PANORAMA_study_id, label ("PDAC" or "non-PDAC") and level, which tells that a
case is one of the Medical Segmentation Decathlon or of NIH Pancreas-CT.

Source: https://panorama.grand-challenge.org, https://github.com/DIAGNijmegen/panorama_labels
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from core.csv_io import column_names, read_rows
from core.datasets.case import PANORAMA_CASE, Case, Dataset
from core.datasets.git import commit_of
from core.errors import InputError
from core.io.paths import Skipped, walk

NAME = "PANORAMA"
LABELS = ("manual_labels", "automatic_labels")
"""A reader's label goes before one that a network drew."""
TABLES = ("clinical_information.csv", "clinical_information.xlsx")
DIAGNOSES = {"PDAC": True, "non-PDAC": False}
OVERLAP = {"MSD_dataset": "MSD Task07_Pancreas", "NIH_dataset": "NIH Pancreas-CT"}
"""Levels of cases that other public data sets hold as well."""
IDS = {
    "background": 0,
    "PDAC lesion": 1,
    "veins": 2,
    "arteries": 3,
    "pancreas parenchyma": 4,
    "pancreatic duct": 5,
    "common bile duct": 6,
}
_IMAGE = re.compile(rf"({PANORAMA_CASE})_0000\.nii\.gz")


class Row(NamedTuple):
    """What the table says of a case.

    Args:
      tumor: whether it is one of cancer; None where it does not say.
      overlap: the other public data set that holds it; "" for none.
    """

    tumor: bool | None
    overlap: str


def is_checkout(root: Path) -> bool:
    """Whether a folder holds the labels of PANORAMA, as their repository has them, and no table."""
    return not (root / "dataset.json").is_file() and _checkout(root) is not None


def read_panorama(root: Path) -> Dataset:
    """Cases of which there are an image, at any depth, and a label.

    Args:
      root: folder of the batches and of the checkout of the labels.

    Raises:
      ValueError: it holds no such checkout.
    """
    checkout = _checkout(root)
    if checkout is None:
        raise ValueError(f"{root} holds no labels of PANORAMA")
    labels: dict[str, Path] = {}
    for folder in LABELS:
        for path in sorted((checkout / folder).glob("*.nii.gz")):
            labels.setdefault(path.name.removesuffix(".nii.gz"), path)
    cases, skipped = {}, []
    for path in _images(root, checkout):
        match = _IMAGE.fullmatch(path.name)
        id_ = match[1] if match else ""
        if not match:
            skipped.append(Skipped(path, "not named <patient>_<study>_0000.nii.gz"))
        elif id_ in cases:
            skipped.append(Skipped(path, f"has the name of {cases[id_].images[0]}", True))
        elif id_ not in labels:
            skipped.append(Skipped(path, "has no label"))
        else:
            cases[id_] = Case(id_, id_, (path,), labels[id_])
    alone = (labels[id_] for id_ in sorted(labels.keys() - cases.keys()))
    return Dataset(
        name=NAME,
        root=root,
        label_ids=IDS,
        channels=("CT",),
        cases=tuple(cases[id_] for id_ in sorted(cases)),
        splits=(),
        # No harm is done: batches may be fetched one by one, and the labels come at once.
        skipped=(*skipped, *(Skipped(path, "its image is not there") for path in alone)),
        is_public=True,
        commit=commit_of(checkout),
    )


def is_panorama(case_ids: Iterable[str]) -> bool:
    """Whether every case is named like one of PANORAMA."""
    return all(re.fullmatch(PANORAMA_CASE, case_id) for case_id in case_ids)


def without_overlap(dataset: Dataset) -> Dataset:
    """The cases that neither MSD nor NIH Pancreas-CT holds as well.

    Raises:
      InputError: there is no table to tell, or it does not know a case.
    """
    path = _table(dataset.root)
    if path is None or "level" not in column_names(path):
        raise InputError(
            "--exclude-overlap needs the column level of clinical_information.xlsx",
            path=path or dataset.root,
            hint="fetch it from panorama_labels, or leave the flag out",
        )
    table = read_table(dataset.root)
    if unknown := [case.id for case in dataset.cases if case.id not in table]:
        more = f" nor {len(unknown) - 1} more" if unknown[1:] else ""
        raise InputError(
            f"does not know {unknown[0]}{more}, so --exclude-overlap cannot tell",
            path=path,
            hint="fetch the table anew",
        )
    left_out = {case.id: table[case.id].overlap for case in dataset.cases if table[case.id].overlap}
    skipped = (
        Skipped(case.images[0], f"is in {left_out[case.id]} as well")
        for case in dataset.cases
        if case.id in left_out
    )
    kept = tuple(case for case in dataset.cases if case.id not in left_out)
    return replace(dataset, cases=kept, skipped=(*dataset.skipped, *skipped))


def read_table(root: Path) -> dict[str, Row]:
    """What is known of a case, by its id; nothing where the table is not there.

    Args:
      root: the folder of the data set; the table lies in it or in a folder of it.

    Raises:
      InputError: a label that is neither "PDAC" nor "non-PDAC", or an id that is no number.
    """
    path, table = _table(root), {}
    for row in read_rows(path) if path else []:
        patient, study = (row.get(f"panorama_{name}_id", "") for name in ("patient", "study"))
        label = row.get("label", "")
        if label and label not in DIAGNOSES:
            raise InputError(f"label must be PDAC or non-PDAC; got {label!r}", path=path)
        if not study or not ("_" in study or patient):
            continue
        try:
            id_ = study if "_" in study else f"{_number(patient):06d}_{_number(study):05d}"
        except ValueError:
            raise InputError(
                f"no numbers: patient {patient!r}, study {study!r}", path=path
            ) from None
        table[id_] = Row(DIAGNOSES.get(label), OVERLAP.get(row.get("level", ""), ""))
    return table


def _checkout(root: Path) -> Path | None:
    """The folder of manual_labels or automatic_labels: the root, or one in it."""
    places = (place.parent for p in ("", "*/") for f in LABELS for place in root.glob(f"{p}{f}/"))
    return next(places, None)


def _images(root: Path, checkout: Path) -> Iterator[Path]:
    """Volumes below the root that are no labels."""
    labels = [checkout / folder for folder in LABELS]
    for path in walk(root):
        inside = any(folder in path.parents for folder in labels)
        if not inside and path.name.endswith(".nii.gz") and not path.name.startswith("."):
            yield path


def _table(root: Path) -> Path | None:
    places = (p for name in TABLES for p in (root / name, *sorted(root.glob(f"*/{name}"))))
    return next((path for path in places if path.is_file()), None)


def _number(text: str) -> int:
    """Of a cell that a spreadsheet may have made 7.0."""
    return int(float(text))
