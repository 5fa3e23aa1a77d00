"""PanTS: a mask per structure, the images and labels of training and of the test apart.

    ImageTr/PanTS_00000001/ct.nii.gz
    LabelTr/PanTS_00000001/segmentations/{pancreas,pancreatic_duct,pancreatic_lesion,…}.nii.gz
    ImageTe/…  LabelTe/…        and metadata.xlsx, or .csv, with the contrast phase

Source: https://github.com/MrGiovanni/PanTS
"""

import re
from dataclasses import replace
from pathlib import Path

from core.csv_io import column_names, read_rows
from core.datasets.case import Case, Dataset, Fold
from core.datasets.case_folders import cases_of_folders
from core.datasets.class_masks import ids_of_classes

TABLES = ("metadata.xlsx", "metadata.csv")
PARTS = {"pancreas_head", "pancreas_body", "pancreas_tail"}
"""Of what the mask of the pancreas holds whole."""
_CASE = r"PanTS_\d+"
_PHASES = {"arter": "arterial", "portal": "venous", "ven": "venous", "delay": "delayed"}
_PHASES |= {"plain": "native", "non": "native", "native": "native"}


def is_pants(root: Path) -> bool:
    """Whether a folder is laid out like PanTS."""
    return (root / "ImageTr").is_dir() and (root / "LabelTr").is_dir()


def read_pants(root: Path) -> Dataset:
    """Cases of training and test that have both an image and labels; the parts are a fold."""
    phases, (train, test) = _read_phases(root), (_part(root, part) for part in ("Tr", "Te"))
    cases = [*train[0], *test[0]]
    fold = Fold(*(tuple(case.id for case in part) for part, _ in (train, test)))
    return Dataset(
        name="PanTS",
        root=root,
        label_ids=ids_of_classes(name for case in cases for name in case.masks),
        channels=("CT",),
        cases=tuple(replace(case, phase=phases.get(case.id, "unknown")) for case in cases),
        splits=(fold,) if fold.train and fold.val else (),
        skipped=(*train[1], *test[1]),
        is_public=True,
    )


def _part(root: Path, part: str):
    images = sorted((root / f"Image{part}").glob("PanTS_*"))
    folders = ((image, root / f"Label{part}" / image.name) for image in images)
    cases, skipped = cases_of_folders(folders)
    return [_without_parts(case) for case in cases], skipped


def _without_parts(case: Case) -> Case:
    return replace(case, masks={n: p for n, p in case.masks.items() if n not in PARTS})


def _read_phases(root: Path) -> dict[str, str]:
    """Phase by case: of the column called so, where a cell of the row is the id of a case."""
    path = next((root / name for name in TABLES if (root / name).is_file()), None)
    column = next((name for name in column_names(path) if "phase" in name), None) if path else None
    if path is None or column is None:
        return {}
    phases = {}
    for row in read_rows(path):
        id_ = next((cell for cell in row.values() if re.fullmatch(_CASE, cell)), None)
        words = row.get(column, "").lower()
        phase = next((phase for word, phase in _PHASES.items() if word in words), None)
        if id_ is not None and phase is not None:
            phases[id_] = phase
    return phases
