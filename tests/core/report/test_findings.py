"""Lesions as a list: every component once, its size by formulas, its place inside it."""

import numpy as np
import pytest

from core.report import findings
from core.report.findings import find_lesions
from core.volume import CANONICAL_DIRECTION, Volume

SHAPE, SPACING = (12, 20, 24), (3.0, 0.5, 0.5)


def scan():
    return Volume(np.zeros(SHAPE, np.int16), SPACING, (-10.0, 20.0, 30.0), CANONICAL_DIRECTION)


def label_of(**boxes):
    label = np.zeros(SHAPE, np.uint8)
    for id_, box in boxes.values():
        label[box] = id_
    return label


SMALL = (2, np.s_[1:3, 2:4, 2:5])
LARGE = (2, np.s_[6:9, 5:13, 10:20])


def test_every_component_is_listed_the_largest_first_with_its_volume():
    found = find_lesions(scan(), label_of(a=SMALL, b=LARGE, c=(1, np.s_[11:])), {2: "tumor"})
    assert [finding.name for finding in found] == ["tumor 1", "tumor 2"]
    voxel_ml = 3 * 0.5 * 0.5 / 1000
    assert [f.ml for f in found] == pytest.approx([3 * 8 * 10 * voxel_ml, 2 * 2 * 3 * voxel_ml])


def test_its_axes_are_those_of_the_axial_slice_where_it_is_longest():
    bar = (2, np.s_[9, 6:7, 2:22])  # one voxel wide and 20 long, on top of the large one
    (found,) = find_lesions(scan(), label_of(a=LARGE, b=bar), {2: "tumor"})
    assert (found.long_axis_mm, found.short_axis_mm) == pytest.approx((20 * 0.5, 0.5), rel=0.01)


def test_its_place_is_one_of_its_own_voxels():
    ring = label_of(a=(2, np.s_[4, 2:17, 2:17]), b=(0, np.s_[4, 4:15, 4:15]))
    (found,) = find_lesions(scan(), ring, {2: "tumor"})
    voxel = np.linalg.inv(scan().affine_lps) @ [*found.center_mm, 1]
    d, h, w = np.rint(voxel[:3]).astype(int)
    assert ring[d, h, w] == 2
    assert found.slice_number == d + 1


def test_classes_come_one_after_the_other_and_absent_ones_do_not():
    found = find_lesions(scan(), label_of(a=SMALL, b=(3, np.s_[6:9])), {3: "b", 5: "c", 2: "a"})
    assert [finding.name for finding in found] == ["b 1", "a 1"]


def test_of_many_the_largest_are_kept(monkeypatch):
    monkeypatch.setattr(findings, "MAX_FINDINGS", 1)
    found = find_lesions(scan(), label_of(a=SMALL, b=LARGE), {2: "tumor"})
    assert [finding.ml for finding in found] == pytest.approx([3 * 8 * 10 * 0.75 / 1000])
