"""NIH Pancreas-CT: a label whose axes lie about it is put where the pancreas is."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from core.datasets import nih
from core.io import nifti
from core.phantom.ct.cohort import label_table
from core.phantom.ct.phantom import make
from core.phantom.dicom.series import write_dicom_study
from core.volume import CANONICAL_DIRECTION, Volume, canonical, same_grid
from tests.refusals import refused

SHAPE, SPACING_MM = (32, 160, 160), (4.0, 2.0, 2.0)
FLIPS = ["".join(letters) for letters in product(*(("", axis) for axis in nih.AXES))]


@pytest.fixture(scope="module")
def phantom():
    return make(0, shape=SHAPE, spacing_mm=SPACING_MM, tumor_diameter_mm=None)


@pytest.fixture(scope="module")
def tree(phantom, tmp_path_factory) -> Path:
    """The tree of TCIA with one phantom, without its label."""
    root = tmp_path_factory.mktemp("nih")
    series = root / "manifest-1" / "Pancreas-CT" / "PANCREAS_0001" / "11-24-2015" / "Pancreas-63502"
    write_dicom_study(series, phantom, phases=("venous",))
    return root


def label_of(phantom) -> np.ndarray:
    return label_table({"background": 0, "pancreas": 1})[canonical(phantom.label).array]


def write_label(root: Path, array: np.ndarray, number: str = "0001") -> Path:
    """As TCIA has it: without a position, and with axes that are not those of the images."""
    volume = Volume(array, SPACING_MM, (0.0, 0.0, 0.0), -CANONICAL_DIRECTION)
    return nifti.write(root / "TCIA_pancreas_labels-02-05-2017" / f"label{number}.nii.gz", volume)


def stored(array: np.ndarray, flip: str) -> np.ndarray:
    return np.flip(array, [axis for axis, name in enumerate(nih.AXES) if name in flip])


@pytest.mark.parametrize("flip", FLIPS)
def test_any_flip_of_the_label_is_found(tree, phantom, flip):
    truth = label_of(phantom)
    write_label(tree, stored(truth, flip))
    (case,) = nih.find_nih(tree).cases
    ct, label = nih.read_nih_case(case, flip="auto")
    assert same_grid(ct, label)
    np.testing.assert_array_equal(label.array, truth)
    # The mask covers what the phantom made a pancreas of: fat and gut lie far below.
    assert 60 < ct.array[label.array > 0].mean() < 130


def test_rows_and_columns_may_be_exchanged(tree, phantom):
    truth = label_of(phantom)
    write_label(tree, stored(truth, "h").transpose(0, 2, 1))
    (case,) = nih.find_nih(tree).cases
    np.testing.assert_array_equal(nih.read_nih_case(case, flip="auto")[1].array, truth)


def test_a_flip_that_is_given_is_taken(tree, phantom):
    truth = label_of(phantom)
    write_label(tree, truth)
    (case,) = nih.find_nih(tree).cases
    label = nih.read_nih_case(case, flip="dw")[1].array
    np.testing.assert_array_equal(label, stored(truth, "dw"))
    np.testing.assert_array_equal(nih.read_nih_case(case, flip="none")[1].array, truth)


def test_a_label_that_nothing_tells_apart_is_refused(tree):
    write_label(tree, np.ones(SHAPE, np.uint8))
    (case,) = nih.find_nih(tree).cases
    with refused(case.label, "flip", hint="--prepare.label-flip"):
        nih.read_nih_case(case, flip="auto")


def test_an_empty_label_needs_no_flip(tree):
    write_label(tree, np.zeros(SHAPE, np.uint8))
    (case,) = nih.find_nih(tree).cases
    assert not nih.read_nih_case(case, flip="auto")[1].array.any()


def test_a_label_of_another_shape_is_refused(tree):
    write_label(tree, np.ones((31, 160, 160), np.uint8))
    (case,) = nih.find_nih(tree).cases
    with refused(case.label, (31, 160, 160), (32, 160, 160)):
        nih.read_nih_case(case, flip="auto")


def test_images_and_labels_are_paired_by_number(tmp_path):
    for number in ("0001", "0002"):
        (tmp_path / f"PANCREAS_{number}").mkdir()
    for number in ("0002", "0003"):
        write_label(tmp_path, np.zeros((2, 2, 2), np.uint8), number)
    nih_data = nih.find_nih(tmp_path)
    assert [case.patient for case in nih_data.cases] == ["PANCREAS_0002"]
    assert {s.path.name: s.reason for s in nih_data.skipped} == {
        "PANCREAS_0001": "no label of its number",
        "label0003.nii.gz": "no images of its number",
    }


def test_another_tree_is_none(tmp_path):
    assert nih.find_nih(tmp_path) is None
