"""Folds that a data set prescribes: splits_final.json of nnU-Net, whatever the layout beside it."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from core.datasets.case import Fold
from core.errors import InputError
from core.json_io import read_json
from core.names import normal

FOLDS = "splits_final.json"


def read_folds(root: Path, usable: Collection[str], known: Collection[str]) -> tuple[Fold, ...]:
    """Folds of splits_final.json, beside the data or where nnU-Net keeps it; none without one.

    Args:
      root: folder of the data set.
      usable: ids of the cases that can be used; the others are out of every fold.
      known: ids of all cases.

    Raises:
      InputError: it is no list of folds, or one names an unknown case or a case on both sides.
    """
    places = [root]
    if preprocessed := os.environ.get("nnUNet_preprocessed"):
        places.append(Path(preprocessed) / root.name)
    for path in (place / FOLDS for place in places):
        if path.is_file():
            folds = read_json(path)
            if not isinstance(folds, list):
                raise InputError("expected a list of folds", path=path)
            return tuple(_fold(fold, k, usable, known, path) for k, fold in enumerate(folds))
    return ()


def _fold(fold: Any, k: int, usable: Collection[str], known: Collection[str], path: Path) -> Fold:
    try:
        train, val = ([normal(str(case)) for case in fold[side]] for side in ("train", "val"))
    except (KeyError, TypeError):
        raise InputError(f'fold {k} must have "train" and "val"', path=path) from None
    if strangers := sorted({*train, *val}.difference(known)):
        raise InputError(f"fold {k} names unknown cases {strangers[:5]}", path=path)
    if both := sorted({*train} & {*val}):
        raise InputError(f"fold {k} has {both[:5]} on both sides", path=path)
    # A case that was skipped is out of every fold; `Dataset.skipped` says why.
    return Fold(*(tuple(c for c in side if c in usable) for side in (train, val)))
