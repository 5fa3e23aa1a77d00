"""What a data set is annotated with, case by case, where some or all of its cases are."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from core.datasets.case import Case
from core.datasets.read import read_dataset
from core.io import nifti
from core.io.labels import check_ids, require_same_grid
from core.screening.pairs import DATASET, Pair
from core.volume import Volume
from lnmet.labels import Meaning, meaning


class Annotation(NamedTuple):
    """Annotation that a data set has already.

    Args:
      cases: by the file of each of their images.
      ids: what its labels mean.
      label_ids: its names and numbers.
    """

    cases: Mapping[Path, Case] = {}
    ids: Meaning | None = None
    label_ids: Mapping[str, int] = {}

    @property
    def annotated(self) -> frozenset[int]:
        """Ids of `lnmet.labels` that it names."""
        return self.ids.annotated if self.ids else frozenset()

    def case_of(self, pair: Pair) -> Case | None:
        """Annotated case that an examination is."""
        return self.cases.get(pair.path.resolve())

    def read(self, case: Case, grid: Volume, grid_path: Path) -> UInt8[np.ndarray, "d h w"]:
        """Its label map in ids of `lnmet.labels`, with the axes of the grid."""
        if self.ids is None or case.label is None:
            raise ValueError(f"case {case.id} has no label")
        stored = nifti.read_label(case.label)
        check_ids(stored, self.label_ids.values(), case.label)
        return self.ids(require_same_grid(grid, stored, grid_path, case.label).array)


def read_annotation(data: Path) -> Annotation:
    """Annotation of a data set; none where it has no label at all.

    Raises:
      InputError: a data set that cannot be read, or whose labels are not known.
    """
    labels = data / "labelsTr"
    if not ((data / DATASET).is_file() and labels.is_dir() and any(labels.iterdir())):
        return Annotation()
    dataset = read_dataset(data)
    cases = {image.resolve(): case for case in dataset.cases for image in case.images}
    return Annotation(cases, meaning(dataset.label_ids, data), dataset.label_ids)
