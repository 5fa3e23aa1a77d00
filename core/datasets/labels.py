"""The label of a case in the ids of a paper, whether it is one map or a mask per class."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.datasets.case import Case
from core.datasets.class_masks import combine
from core.io import nifti
from core.io.labels import check_ids
from core.io.volume_file import parts
from core.volume import Volume


def read_label(case: Case, label_ids: Mapping[str, int], table: NDArray[np.uint8]) -> Volume:
    """Label of a case.

    Args:
      case: with a label map or masks.
      label_ids: of its data set.
      table: id of the data set → the paper's; masks of what is 0 there are not read.

    Returns:
      Ids of the paper (D, H, W), in the orientation that is stored.

    Raises:
      InputError: a file cannot be read, an id that is not declared, or no mask of a class.
    """
    if case.label is not None:
        label = nifti.read_label(case.label)
        check_ids(label, label_ids.values(), case.label)
    else:
        wanted = {name: id_ for name, id_ in label_ids.items() if table[id_] > 0}
        label = combine(case.masks, wanted, label_place(case))
    return label.with_array(table[label.array])


def label_place(case: Case) -> Path:
    """The label map, or the folder of the masks: what a line about the label names."""
    if case.label is not None:
        return case.label
    return next(iter(case.masks.values())).parent


def label_files(case: Case, label_ids: Mapping[str, int], table: NDArray[np.uint8]) -> list[Path]:
    """Every file that `read_label` reads."""
    if case.label is not None:
        return list(parts(case.label))
    return [path for name, path in case.masks.items() if table[label_ids[name]] > 0]
