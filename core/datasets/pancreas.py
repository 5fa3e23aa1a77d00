"""Label names of public data sets, mapped by name to background, pancreas, tumor and duct."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.datasets.case import plain_name
from core.errors import InputError

BACKGROUND, PANCREAS, TUMOR, DUCT = 0, 1, 2, 3
IGNORE = 255
"""Voxels that nobody annotated, "ignore" in data sets of nnU-Net: no loss or score counts them."""
NAMES = {PANCREAS: "pancreas", TUMOR: "tumor"}
NAMES_WITH_DUCT = NAMES | {DUCT: "dilated_duct"}
"""Where the dilated pancreatic duct is a class of its own."""

# Vessels and the bile duct of PANORAMA lie beside the pancreas; its duct lies within.
_ID_OF_NAME = {
    "background": BACKGROUND,
    "veins": BACKGROUND,
    "arteries": BACKGROUND,
    "common bile duct": BACKGROUND,
    "pancreas": PANCREAS,
    "pancreas parenchyma": PANCREAS,
    "duct": DUCT,
    "pancreatic duct": DUCT,
    "dilated duct": DUCT,
    "dilated pancreatic duct": DUCT,
    "tumor": TUMOR,
    "tumour": TUMOR,
    "cancer": TUMOR,
    "lesion": TUMOR,
    "pdac": TUMOR,
    "pdac lesion": TUMOR,
    "pancreatic lesion": TUMOR,
    "ignore": IGNORE,
}


def in_pancreas(label: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Where a label shows the pancreas, its tumor and its duct included."""
    return (label == PANCREAS) | (label == TUMOR) | (label == DUCT)


def lookup(
    label_ids: Mapping[str, int], root: Path, *, needed: Collection[int], duct: bool = False
) -> NDArray[np.uint8]:
    """Table from a data set's ids to ours: `table[label]`.

    Args:
      label_ids: the data set's names and ids.
      root: its folder, named in errors.
      needed: ids of ours that it must have a name for.
      duct: whether the pancreatic duct is a class of its own; without, it is pancreas.

    Returns:
      (largest id + 1,) table; ids that the data set does not declare map to background, and are
      refused earlier by `core.io.labels.check_ids`.

    Raises:
      InputError: a name that is not known here, or no name for what is needed.
    """
    ours = {name: _ID_OF_NAME.get(plain_name(name)) for name in label_ids}
    if unknown := [name for name, id_ in ours.items() if id_ is None]:
        raise InputError(
            f"label names {unknown} are not known",
            path=root / "dataset.json",
            hint=f"rename them to some of {sorted(_ID_OF_NAME)}",
        )
    if absent := [NAMES[id_] for id_ in needed if id_ not in ours.values()]:
        raise InputError(
            f"needs a label for {' and '.join(absent)}; found {list(label_ids)}",
            path=root / "dataset.json",
        )
    table = np.zeros(max(label_ids.values()) + 1, np.uint8)
    for name, id_ in label_ids.items():
        table[id_] = ours[name] or BACKGROUND
    return table if duct else np.where(table == DUCT, np.uint8(PANCREAS), table)
