"""Masks of the tumor that are kept apart from a data set."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.errors import InputError
from core.io import nifti
from core.io.labels import check_ids, require_same_grid
from core.volume import Volume, canonical
from lnmet.label_files import SEGMENTATION, map_of
from lnmet.labels import BACKGROUND, PDAC


class TumorMasks(NamedTuple):
    """Masks by case.

    Args:
      folder: holds <case>.nii.gz with 1 in the tumor, or cases/<case>/segmentation.nii.gz as
        `lnmet segment` writes.
    """

    folder: Path

    def of(self, case_id: str) -> Path | None:
        """File of a case, if it has one."""
        return map_of(self.folder, case_id)

    def read(self, path: Path) -> Volume:
        """Mask of a file of `of`, true in the tumor, in canonical orientation.

        Raises:
          InputError: it cannot be read, or is no mask.
        """
        stored = canonical(nifti.read_label(path))
        if path.name == SEGMENTATION:
            return stored.with_array(stored.array == PDAC)
        check_ids(stored, (BACKGROUND, 1), path)
        return stored.with_array(stored.array == 1)

    def added_to(self, label: Volume, path: Path) -> Volume:
        """Label with the tumor of a file, over the background and organs, not over nodes.

        Raises:
          InputError: the mask is of another grid, or none.
        """
        mask = require_same_grid(label, self.read(path), "the label", path).array
        return label.with_array(np.where(mask & (label.array < PDAC), PDAC, label.array))


def tumor_masks(folder: Path) -> TumorMasks:
    """Masks of a folder.

    Raises:
      InputError: the folder is missing.
    """
    if not folder.exists():
        raise InputError("no such folder", path=folder)
    return TumorMasks(folder)
