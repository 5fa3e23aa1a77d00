"""Label names are mapped by name, whatever their numbers."""

import numpy as np
import pytest

from core.datasets.pancreas import DUCT, IGNORE, PANCREAS, TUMOR, in_pancreas, lookup
from tests.refusals import refused

BOTH = (PANCREAS, TUMOR)


def test_medical_segmentation_decathlon(tmp_path):
    table = lookup(
        {"background": 0, "pancreas": 1, "cancer": 2}, tmp_path / "dataset.json", needed=BOTH
    )
    np.testing.assert_array_equal(table, [0, 1, 2])


def test_panorama_numbers_its_lesion_first_and_its_vessels_are_background(tmp_path):
    ids = {
        "background": 0,
        "PDAC_lesion": 1,
        "veins": 2,
        "arteries": 3,
        "pancreas parenchyma": 4,
        "pancreatic duct": 5,
        "common bile duct": 6,
    }
    np.testing.assert_array_equal(
        lookup(ids, tmp_path / "dataset.json", needed=BOTH), [0, 2, 0, 0, 1, 1, 0]
    )


@pytest.mark.parametrize("name", ["pancreatic duct", "dilated_duct", "Duct"])
def test_the_duct_is_pancreas_or_a_class_of_its_own(tmp_path, name):
    ids = {"background": 0, "pancreas": 1, "tumor": 2, name: 3}
    np.testing.assert_array_equal(lookup(ids, tmp_path, needed=BOTH), [0, 1, 2, 1])
    table = lookup(ids, tmp_path, needed=BOTH, duct=True)
    np.testing.assert_array_equal(table, [0, 1, 2, DUCT])
    np.testing.assert_array_equal(in_pancreas(table), [False, True, True, True])


def test_an_unknown_name_is_refused_with_the_known_ones(tmp_path):
    with refused(
        tmp_path / "dataset.json",
        "'gizzard'",
        hint="--labels 'gizzard=pancreas|tumor|ignore|background,*=background'",
    ):
        lookup(
            {"background": 0, "pancreas": 1, "tumor": 2, "gizzard": 3},
            tmp_path / "dataset.json",
            needed=BOTH,
        )


def test_a_data_set_without_tumors_is_refused(tmp_path):
    with refused(tmp_path / "dataset.json", "label for tumor", "background", hint="NAME=tumor"):
        lookup({"background": 0, "pancreas": 1}, tmp_path / "dataset.json", needed=BOTH)


def test_healthy_patients_need_no_tumor(tmp_path):
    table = lookup({"background": 0, "pancreas": 1}, tmp_path / "dataset.json", needed=(PANCREAS,))
    np.testing.assert_array_equal(table, [0, 1])


def test_what_nobody_annotated_is_ignored_whatever_its_number(tmp_path):
    ids = {"background": 0, "pancreas": 1, "tumor": 2, "ignore": 3}
    np.testing.assert_array_equal(
        lookup(ids, tmp_path / "dataset.json", needed=BOTH), [0, 1, 2, IGNORE]
    )
    assert in_pancreas(np.array([0, PANCREAS, TUMOR, IGNORE])).tolist() == [
        False,
        True,
        True,
        False,
    ]
