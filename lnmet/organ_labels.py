"""Organs and vessels of LNMet in the label maps of public data sets and of users, by name.

Public sets number their classes differently, and their versions too, so a class is told by its
name; numbers serve only to read a label map in which the names are not written.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Integer, UInt8

from core.csv_io import column_names, read_rows
from core.errors import InputError
from lnmet.config import ORGANS


class LabelMap(NamedTuple):
    """Classes of a data set.

    Args:
      ids: number of a class by its name.
      classes: organ of LNMet → names of the classes that make it up.
    """

    ids: Mapping[str, int]
    classes: Mapping[str, Sequence[str]]

    def absent(self) -> list[str]:
        """Organs and vessels that the data set does not tell of; they get no attention map."""
        return [organ for organ in ORGANS if organ not in self.classes]


_ALIKE = {
    organ: (organ,) for organ in ("spleen", "esophagus", "stomach", "aorta", "pancreas", "duodenum")
}

LABEL_MAPS: Mapping[str, LabelMap] = {
    "totalsegmentator-v1": LabelMap(
        {"spleen": 1, "stomach": 6, "aorta": 7, "pancreas": 10, "esophagus": 42, "duodenum": 56},
        _ALIKE,
    ),
    "totalsegmentator": LabelMap(
        {"spleen": 1, "stomach": 6, "pancreas": 7, "esophagus": 15, "duodenum": 19, "aorta": 52},
        _ALIKE,
    ),
    # Of the coeliac trunk and the splenic artery, AbdomenAtlas and PanTS have the trunk.
    "abdomenatlas": LabelMap(
        {
            "aorta": 1,
            "pancreas": 6,
            "spleen": 8,
            "stomach": 9,
            "celiac_trunk": 13,
            "duodenum": 15,
            "esophagus": 16,
        },
        _ALIKE | {"TC&SA": ("celiac_trunk",)},
    ),
    "pants": LabelMap(
        {
            "aorta": 3,
            "celiac_artery": 5,
            "duodenum": 8,
            "pancreas": 17,
            "pancreas_body": 18,
            "pancreas_head": 19,
            "pancreas_tail": 20,
            "pancreatic_duct": 21,
            "spleen": 24,
            "stomach": 25,
            "superior_mesenteric_artery": 26,
            "pancreatic_lesion": 28,
        },
        {organ: names for organ, names in _ALIKE.items() if organ != "esophagus"}
        | {
            "pancreas": (
                "pancreas",
                "pancreas_body",
                "pancreas_head",
                "pancreas_tail",
                "pancreatic_duct",
                "pancreatic_lesion",
            ),
            "SMA": ("superior_mesenteric_artery",),
            "TC&SA": ("celiac_artery",),
        },
    ),
    "amos": LabelMap(
        {"spleen": 1, "esophagus": 5, "stomach": 7, "aorta": 8, "pancreas": 10, "duodenum": 13},
        _ALIKE,
    ),
    "btcv": LabelMap(
        {"spleen": 1, "esophagus": 5, "stomach": 7, "aorta": 8, "pancreas": 11},
        {organ: names for organ, names in _ALIKE.items() if organ != "duodenum"},
    ),
    "word": LabelMap(
        {"spleen": 2, "stomach": 5, "esophagus": 7, "pancreas": 8, "duodenum": 9},
        {organ: names for organ, names in _ALIKE.items() if organ != "aorta"},
    ),
    "lnmet": LabelMap(
        {organ: id_ for id_, organ in enumerate(ORGANS, start=1)},
        {organ: (organ,) for organ in ORGANS},
    ),
}
"""By the name of the data set; "lnmet" is what our own organ network writes."""


def read_label_map(path: Path) -> LabelMap:
    """A user's table with the columns organ,id: several rows where several labels make up an organ.

    Raises:
      InputError: no such columns, an unknown organ, an id that is no positive integer or given
        twice.
    """
    if missing := {"organ", "id"} - set(column_names(path)):
        raise InputError(f"has no column {' or '.join(sorted(missing))}", path=path)
    ids: dict[str, int] = {}
    classes: dict[str, list[str]] = {}
    for number, row in enumerate(read_rows(path), start=2):
        organ, id_, where = row.get("organ", ""), row.get("id", ""), f"line {number}"
        if organ not in ORGANS:
            raise InputError(
                f"{where}: {organ!r} is no organ of LNMet", path=path, hint=", ".join(ORGANS)
            )
        if not id_.isdecimal() or int(id_) == 0:
            raise InputError(f"{where}: id must be a positive integer; got {id_!r}", path=path)
        if int(id_) in ids.values():
            raise InputError(f"{where}: id {id_} is given twice", path=path)
        ids[f"label {id_}"] = int(id_)
        classes.setdefault(organ, []).append(f"label {id_}")
    return LabelMap(ids, classes)


def to_organs(label: Integer[np.ndarray, "d h w"], source: LabelMap) -> UInt8[np.ndarray, "d h w"]:
    """Ids of LNMet, 1 … 10 in the order of `ORGANS`; 0 where a label is none of them.

    Args:
      label: ids of the data set.
      source: its classes.
    """
    lookup = np.zeros(max(int(label.max(initial=0)), *source.ids.values()) + 1, np.uint8)
    for organ, names in source.classes.items():
        for name in names:
            lookup[source.ids[name]] = ORGANS.index(organ) + 1
    return lookup[label]
