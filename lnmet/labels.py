"""Ids of LNMet's label maps, and what the label names of a data set mean in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Integer, UInt8
from numpy.typing import NDArray

from core.datasets.case import plain_name
from core.datasets.label_names import LabelNames, ids_of_names, parse_labels
from core.errors import InputError
from lnmet.config import ORGANS, Target
from lnmet.organ_labels import LABEL_MAPS

BACKGROUND = 0
PANCREAS = ORGANS.index("pancreas") + 1
PDAC = len(ORGANS) + 1
NODE = PDAC + 1
"""A lymph node without metastasis, or of unknown status."""
METASTATIC = NODE + 1
IGNORE = 255
"""Voxels that nobody annotated; no loss is counted there."""
NAMES = {
    **{id_: name for id_, name in enumerate(ORGANS, start=1)},
    PDAC: "PDAC",
    NODE: "lymph node",
    METASTATIC: "metastatic lymph node",
}

CLASSES: Mapping[Target, tuple[str, ...]] = {
    "organs": ("background", *ORGANS),
    "pdac": ("background", "PDAC"),
    "nodes": ("background", "lymph node"),
}
"""What the networks tell apart, in the order of their outputs."""
_CLASS_OF_ID: Mapping[Target, Mapping[int, int]] = {
    "organs": {**{id_: id_ for id_ in range(1, PDAC)}, PDAC: PANCREAS},
    "pdac": {PDAC: 1},
    "nodes": {NODE: 1, METASTATIC: 1},
}
PREDICTED: Mapping[Target, frozenset[int]] = {
    "organs": frozenset(range(1, PDAC)),
    "pdac": frozenset({PDAC}),
    "nodes": frozenset({NODE}),
}
"""Ids that a network's answer has in a label map."""
_NEEDED: Mapping[Target, frozenset[int]] = {
    "organs": frozenset(range(1, PDAC)),
    "pdac": frozenset({PDAC}),
    "nodes": frozenset({NODE, METASTATIC}),
}
"""Ids of which a data set must name one to be learned from."""


_ID_OF_NAME = {
    "background": BACKGROUND,
    **{
        plain_name(name): ORGANS.index(organ) + 1
        for label_map in LABEL_MAPS.values()
        for organ, names in label_map.classes.items()
        for name in names
    },
    "oesophagus": ORGANS.index("esophagus") + 1,
    "duct": PANCREAS,
    "pancreas parenchyma": PANCREAS,
    "celiac trunk splenic artery": ORGANS.index("TC&SA") + 1,
    "left gastric artery": ORGANS.index("LGA") + 1,
    "common hepatic proper hepatic artery": ORGANS.index("CHA&PHA") + 1,
    **dict.fromkeys(
        ("pdac", "tumor", "tumour", "cancer", "lesion", "pdac lesion", "pancreatic lesion"), PDAC
    ),
    **dict.fromkeys(("lymph node", "lymph nodes", "node", "negative lymph node"), NODE),
    **dict.fromkeys(
        ("metastatic lymph node", "positive lymph node", "lymph node metastasis"), METASTATIC
    ),
    "ignore": IGNORE,
}


MEANINGS = (*map(plain_name, NAMES.values()), "ignore", "background")
"""What `--labels` can say of a name, each by one of its own."""


class Meaning(NamedTuple):
    """What the ids of a data set stand for.

    Args:
      table: the data set's id → ours; 0 for what LNMet has no use for.
      annotated: ids of ours that the data set names.
      unused: its names that mean nothing here.
    """

    table: NDArray[np.uint8]
    annotated: frozenset[int]
    unused: tuple[str, ...]

    def __call__(self, label: Integer[np.ndarray, "d h w"]) -> UInt8[np.ndarray, "d h w"]:
        """Label map in our ids."""
        return self.table[label]


def lnmet_labels(text: str | None) -> LabelNames:
    """Read the value of `--labels`.

    Raises:
      InputError: it is not like name=meaning,…, or a meaning is not known.
    """
    return parse_labels(text, _ID_OF_NAME, meanings=MEANINGS)


def meaning(
    label_ids: Mapping[str, int],
    root: Path,
    labels: LabelNames = LabelNames(),  # noqa: B008 - a tuple
) -> Meaning:
    """Meaning of a data set's labels, by their names.

    Args:
      label_ids: its names and ids.
      root: its folder, named in errors.
      labels: what the user says that names mean.

    Raises:
      InputError: no name that LNMet knows.
    """
    path = root / "dataset.json"
    ours = ids_of_names(
        label_ids, _ID_OF_NAME, labels, path=path, meanings=MEANINGS, others=BACKGROUND
    )
    annotated = frozenset(ours.values()) - {BACKGROUND, IGNORE}
    if not annotated:
        raise InputError(
            f"none of the label names {list(label_ids)} is known",
            path=path,
            hint=f"say what they mean, --labels NAME=MEANING, of {', '.join(MEANINGS)}",
        )
    table = np.zeros(max(label_ids.values()) + 1, np.uint8)
    for name, id_ in label_ids.items():
        table[id_] = ours[name]
    unused = (n for n, id_ in ours.items() if id_ == BACKGROUND and plain_name(n) != "background")
    return Meaning(table, annotated, tuple(unused))


def said_of(label_ids: Mapping[str, int], labels: LabelNames) -> dict[str, str]:
    """What the user says of the names of a data set."""
    return labels.said_of(label_ids, _ID_OF_NAME)


def classes(label: UInt8[np.ndarray, "*s"], target: Target) -> UInt8[np.ndarray, "*s"]:
    """Class of every voxel for a network; voxels to ignore stay `IGNORE`."""
    table = np.zeros(IGNORE + 1, np.uint8)
    table[IGNORE] = IGNORE
    for id_, class_ in _CLASS_OF_ID[target].items():
        table[id_] = class_
    return table[label]


def annotated_classes(annotated: frozenset[int], target: Target) -> NDArray[np.bool_]:
    """Which outputs of a network (k,) the ids that a case is annotated with speak of."""
    is_annotated = np.zeros(len(CLASSES[target]), bool)
    is_annotated[BACKGROUND] = True
    for id_, class_ in _CLASS_OF_ID[target].items():
        is_annotated[class_] |= id_ in annotated
    return is_annotated


def has_target(annotated: frozenset[int], target: Target) -> bool:
    """Whether a case can be learned from."""
    return bool(annotated & _NEEDED[target])


def organs_of(label: UInt8[np.ndarray, "*s"]) -> UInt8[np.ndarray, "*s"]:
    """Organs and vessels of a label map, the pancreas with its tumor; what is ignored is none."""
    organs = classes(label, "organs")
    organs[organs == IGNORE] = BACKGROUND
    return organs
