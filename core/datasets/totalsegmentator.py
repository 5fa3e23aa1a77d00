"""The data set of TotalSegmentator: classes have the same names in its versions 1 and 2.

    s0001/{ct.nii.gz, segmentations/<class>.nii.gz}
    meta.csv                          image_id;…;split;…: train, val or test

Most fields of view do not hold the pancreas: its mask is empty there.

Source: https://zenodo.org/records/10047292
"""

from pathlib import Path

from core.csv_io import read_rows
from core.datasets.case import Dataset, Fold
from core.datasets.case_folders import MASKS, cases_of_folders
from core.datasets.class_masks import ids_of_classes

TABLE = "meta.csv"
_CASES = "s[0-9]*"
_TRAIN, _TEST = ("train", "val"), ("test",)


def is_totalsegmentator(root: Path) -> bool:
    """Whether a folder is laid out like the data set of TotalSegmentator."""
    return any((place / MASKS).is_dir() for place in root.glob(_CASES))


def read_totalsegmentator(root: Path) -> Dataset:
    """Cases with an image and masks; the test part of the table is a fold."""
    places = sorted(place for place in root.glob(_CASES) if place.is_dir())
    cases, skipped = cases_of_folders((place, place) for place in places)
    parts = _read_parts(root / TABLE)
    fold = Fold(
        *(tuple(c.id for c in cases if parts.get(c.id) in part) for part in (_TRAIN, _TEST))
    )
    return Dataset(
        name="TotalSegmentator",
        root=root,
        label_ids=ids_of_classes(name for case in cases for name in case.masks),
        channels=("CT",),
        cases=tuple(cases),
        splits=(fold,) if fold.train and fold.val else (),
        skipped=tuple(skipped),
        is_public=True,
    )


def _read_parts(table: Path) -> dict[str, str]:
    """Part of each case; none where there is no table."""
    rows = read_rows(table) if table.is_file() else []
    return {row.get("image_id", ""): row.get("split", "") for row in rows}
