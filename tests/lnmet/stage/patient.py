"""A patient of two phases, and what `lnmet stage` leaves of it."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from core.io import nifti
from core.volume import CANONICAL_DIRECTION, Volume, reorient
from tests.lnmet.test_segmentation import AORTA, IN_REACH, SHAPE, SPACING, TUMOR

FLIPPED = CANONICAL_DIRECTION[:, [2, 0, 1]] * np.array([-1.0, 1.0, -1.0])
"""Another order and other directions of the axes than the canonical ones."""


def scans() -> dict[str, Volume]:
    """An aorta with a tumor beside it and a node in reach, seen alike by two phases."""
    hu = np.zeros(SHAPE, np.int16)
    hu[:, 0] = -1000  # air in front, without which it would be no CT
    hu[6:12, 6:12, 8:14] = AORTA
    hu[7:9, 7:9, 9:11] = TUMOR
    hu[8, 13:15, 10:12] = IN_REACH
    venous = Volume(hu, SPACING, (5.0, -7.0, 11.0), CANONICAL_DIRECTION)
    return {"arterial": venous.with_array(hu + 1), "venous": venous}


def organ_map() -> np.ndarray:
    """The aorta is organ 4, whatever is in it."""
    ids = np.zeros(SHAPE, np.uint8)
    ids[6:12, 6:12, 8:14] = 4
    return ids


def tumor_mask() -> np.ndarray:
    return (scans()["venous"].array == TUMOR).astype(np.uint8)


class Patient:
    """Files of a patient, stored in an orientation of their own."""

    def __init__(self, folder: Path, direction: np.ndarray = FLIPPED) -> None:
        self.folder, self.direction = folder, direction
        images = scans()
        self.arterial = self.write("images/p_0000", images["arterial"])
        self.venous = self.write("images/p_0001", images["venous"])
        self.organs = self.write("organs", images["venous"].with_array(organ_map()))
        self.pdac = self.write("pdac", images["venous"].with_array(tumor_mask()))

    @property
    def inputs(self) -> list[Path]:
        return [self.folder / "images"]

    def write(self, name: str, volume: Volume) -> Path:
        return nifti.write(self.folder / f"{name}.nii.gz", reorient(volume, self.direction))


def results(out: Path) -> dict[str, Any]:
    return json.loads((out / "results.json").read_text())


def written(path: Path) -> Volume:
    """A file that need not be a CT."""
    return nifti.read_grid(path).with_array(np.asarray(nib.load(path).dataobj).T)


def only(out: Path) -> tuple[dict[str, Any], Path]:
    """The row of the only examination, and its folder."""
    (row,) = results(out)["cases"]
    assert row["status"] == "done", row.get("error")
    return row, out / "cases" / row["id"]
