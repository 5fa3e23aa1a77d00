"""Label names of public data sets, mapped by name to background, pancreas, tumor and duct."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.datasets.label_names import LabelNames, ids_of_names, parse_labels
from core.errors import InputError

BACKGROUND, PANCREAS, TUMOR, DUCT = 0, 1, 2, 3
IGNORE = 255
"""Voxels that nobody annotated, "ignore" in data sets of nnU-Net: no loss or score counts them."""
NAMES = {PANCREAS: "pancreas", TUMOR: "tumor"}
NAMES_WITH_DUCT = NAMES | {DUCT: "dilated_duct"}
"""Where the dilated pancreatic duct is a class of its own."""

# Vessels and the bile duct of PANORAMA lie beside the pancreas.
_ID_OF_NAME = {
    "background": BACKGROUND,
    "veins": BACKGROUND,
    "arteries": BACKGROUND,
    "common bile duct": BACKGROUND,
    "pancreas": PANCREAS,
    "pancreas parenchyma": PANCREAS,
    "tumor": TUMOR,
    "tumour": TUMOR,
    "cancer": TUMOR,
    "lesion": TUMOR,
    "pdac": TUMOR,
    "pdac lesion": TUMOR,
    "pancreatic lesion": TUMOR,
    "ignore": IGNORE,
}
_DUCTS = ("duct", "pancreatic duct", "dilated duct", "dilated pancreatic duct")


def known_names(*, duct: bool = False) -> dict[str, int]:
    """Id of each plain name that means something unless the user says otherwise.

    Args:
      duct: whether the duct is a class of its own; else it is pancreas.
    """
    return _ID_OF_NAME | dict.fromkeys(_DUCTS, DUCT if duct else PANCREAS)


def pancreas_labels(text: str | None, *, duct: bool = False) -> LabelNames:
    """Read the value of `--labels`, of a data set of the pancreas.

    Args:
      text: `name=meaning,…`; None says nothing.
      duct: whether the duct is a class of its own, and so a meaning.

    Raises:
      InputError: it is not of that form, or a meaning is not known.
    """
    return parse_labels(text, known_names(), meanings=_meanings(duct=duct))


def in_pancreas(label: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Where a label shows the pancreas, its tumor and its duct included."""
    inside = label == PANCREAS
    for id_ in (TUMOR, DUCT):
        inside |= label == id_
    return inside


def lookup(
    label_ids: Mapping[str, int],
    path: Path,
    *,
    needed: Collection[int],
    labels: LabelNames = LabelNames(),  # noqa: B008 - a tuple
    duct: bool = False,
    others: int | None = None,
) -> NDArray[np.uint8]:
    """Table from a data set's ids to ours: `table[label]`.

    Args:
      label_ids: the data set's names and ids.
      path: of what names them, for errors.
      needed: ids of ours that it must have a name for.
      labels: what the user says that names mean.
      duct: whether the duct is a class of its own; else it is pancreas.
      others: id of names that nothing is known of; None refuses them.

    Returns:
      (largest id + 1,) table; ids that the data set does not declare map to background, and are
      refused earlier by `core.io.labels.check_ids`.

    Raises:
      InputError: a name that is not known here, or no name for what is needed.
    """
    ids = ids_of_names(
        label_ids,
        known_names(duct=duct),
        labels,
        path=path,
        meanings=_meanings(duct=duct),
        others=others,
    )
    if absent := [NAMES[id_] for id_ in needed if id_ not in ids.values()]:
        raise InputError(
            f"needs a label for {' and '.join(absent)}; found {list(ids)}",
            path=path,
            hint=f"if one is it by another name, --labels NAME={absent[0]}",
        )
    table = np.zeros(max(label_ids.values()) + 1, np.uint8)
    for name, id_ in label_ids.items():
        table[id_] = ids[name]
    return table


def _meanings(*, duct: bool) -> list[str]:
    """One name of each meaning, for lines about names."""
    return ["pancreas", "tumor", *(["duct"] if duct else []), "ignore", "background"]
