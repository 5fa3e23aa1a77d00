"""Output of `lnmet segment` as labels that another step goes on from."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from core.commands import results
from core.datasets.channels import Phase
from core.errors import InputError
from core.io import nifti
from core.io.labels import check_ids, require_same_grid
from core.volume import Volume
from lnmet.label_files import SEGMENTATION
from lnmet.labels import NAMES

COMMAND = "lnmet segment"


class Predictions(NamedTuple):
    """Label maps of the ids of `lnmet.labels`.

    Args:
      folder: the --out of `lnmet segment`.
      phases: that the networks saw; the maps lie on the grid of the venous one, or of the only one.
      annotated: ids that they tell of.
      status: of every case, "done" or "failed", by its id.
    """

    folder: Path
    phases: frozenset[Phase]
    annotated: frozenset[int]
    status: Mapping[str, str]

    def path(self, case_id: str) -> Path:
        """Where the label map of a case is, if it has one."""
        return self.folder / "cases" / case_id / SEGMENTATION

    def read(self, case_id: str, grid: Volume, grid_path: Path) -> Volume:
        """Label map of a case.

        Args:
          case_id: of the examination.
          grid: that it must lie on, which is that of the result.
          grid_path: file or folder of the grid, named in errors.

        Raises:
          InputError: the case failed or was not segmented, or the map is of another scan.
        """
        path = self.path(case_id)
        if self.status.get(case_id) != "done" or not path.is_file():
            problem = "failed on" if case_id in self.status else "was not asked for"
            raise InputError(f"{COMMAND} {problem} case {case_id}", path=self.folder)
        label = nifti.read_label(path)
        check_ids(label, {0, *self.annotated}, path)
        return grid.with_array(require_same_grid(grid, label, grid_path, path).array)


def read_predictions(folder: Path) -> Predictions:
    """What `lnmet segment` wrote.

    Raises:
      InputError: the folder holds no results, or those of another command.
    """
    written = results.read(folder, COMMAND)
    if "classes" not in written:
        raise InputError("tells no classes", path=folder, hint=f"give the --out of {COMMAND}")
    return Predictions(
        folder,
        frozenset(written["phases"]),
        frozenset(id_ for id_, name in NAMES.items() if name in written["classes"]),
        {case["id"]: case["status"] for case in written["cases"]},
    )
