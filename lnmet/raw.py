"""Data sets in the raw format of nnU-Net as LNMet writes them: phases, and ids without gaps."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from core.datasets.channels import Phase
from core.json_io import read_json, write_json
from core.names import normal
from lnmet.labels import IGNORE, NAMES

SPLITS = "splits_final.json"


class Written(NamedTuple):
    """Labels of a data set that is written.

    Args:
      ids: number of each name, from 0 without gaps, as nnU-Net wants them.
      table: id of `lnmet.labels` → number.
    """

    ids: Mapping[str, int]
    table: NDArray[np.uint8]

    def __call__(self, label: UInt8[np.ndarray, "d h w"]) -> UInt8[np.ndarray, "d h w"]:
        """Label map in the numbers of the data set."""
        return self.table[label]


def labels_written(annotated: Collection[int], *, ignore: bool = False) -> Written:
    """Labels for ids of `lnmet.labels`.

    Args:
      annotated: ids that the data set tells of.
      ignore: whether there are voxels that nobody annotated; their number is the last.
    """
    names = {id_: NAMES[id_] for id_ in sorted(annotated)} | ({IGNORE: "ignore"} if ignore else {})
    ids, table = {"background": 0}, np.zeros(IGNORE + 1, np.uint8)
    for number, (id_, name) in enumerate(names.items(), start=1):
        ids[name] = number
        table[id_] = number
    return Written(ids, table)


def channels(phases: Sequence[Phase]) -> dict[str, str]:
    """Channels of a data set, by names that tell their phases."""
    return {str(number): f"{phase} CT" for number, phase in enumerate(phases)}


def describe(root: Path, phases: Sequence[Phase], ids: Mapping[str, int], num_cases: int) -> None:
    """Write dataset.json.

    Args:
      root: folder of the data set.
      phases: of the channels.
      ids: number of each label name.
      num_cases: with a label.
    """
    described = {
        "channel_names": channels(phases),
        "labels": ids,
        "numTraining": num_cases,
        "file_ending": ".nii.gz",
    }
    write_json(root / "dataset.json", described)


def copy_splits(source: Path, target: Path, case_ids: Collection[str]) -> None:
    """Folds that a data set prescribes, where it does, without the cases that are left out."""
    if not (source / SPLITS).is_file():
        return
    folds = [
        {side: [id_ for id_ in map(normal, ids) if id_ in case_ids] for side, ids in fold.items()}
        for fold in read_json(source / SPLITS)
    ]
    write_json(target / SPLITS, folds)
