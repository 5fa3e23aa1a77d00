"""Labels in one binary file per class, `segmentations/<class>.nii.gz`, which overlap.

The mask of a pancreas holds its duct and its lesion. So classes are put in an order, and of those
that claim a voxel the last one has it: a lesion before a duct, a duct before the pancreas.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from core.errors import InputError
from core.io import nifti
from core.io.labels import check_ids, require_same_grid
from core.io.paths import is_shadow
from core.io.volume_file import ENDINGS, without_ending
from core.volume import Volume

BINARY = (0, 1, 255)
_LATER = (r"duct", r"lesion|tumou?r|cancer|cyst|pdac")


def masks_in(folder: Path) -> dict[str, Path]:
    """File of each class in a folder, by the name of the class."""
    files = (p for p in sorted(folder.glob("*")) if p.name.endswith(ENDINGS) and not is_shadow(p))
    return {without_ending(path.name): path for path in files}


def ids_of_classes(names: Iterable[str]) -> dict[str, int]:
    """Label ids of classes in ascending order of priority; 0 is the background."""
    ordered = sorted(set(names), key=lambda name: (_priority(name), name))
    return {"background": 0} | {name: id_ for id_, name in enumerate(ordered, start=1)}


def combine(masks: Mapping[str, Path], ids: Mapping[str, int], folder: Path) -> Volume:
    """One label map of several binary masks: where they overlap, the largest id.

    Args:
      masks: file of each class.
      ids: class → label id, 1 … 255, of the classes that are wanted; at least one.
      folder: of the case, named in errors.

    Returns:
      Ids on the grid of the masks.

    Raises:
      InputError: no mask of a wanted class, one that is not binary, or masks on several grids.
    """
    if missing := sorted(ids.keys() - masks.keys()):
        raise InputError(f"has no mask of {', '.join(missing)}", path=folder)
    ascending = sorted(ids, key=lambda name: ids[name])
    first = masks[ascending[0]]
    grid = nifti.read_grid(first)
    label = np.zeros(grid.shape, np.uint8)
    for name in ascending:
        mask = nifti.read_label(masks[name])
        check_ids(mask, BINARY, masks[name])
        label[require_same_grid(grid, mask, first, masks[name]).array > 0] = ids[name]
    return grid.with_array(label)


def _priority(name: str) -> int:
    """0, or one more than the index of the last pattern that a name has."""
    return max((i for i, p in enumerate(_LATER, start=1) if re.search(p, name.lower())), default=0)
