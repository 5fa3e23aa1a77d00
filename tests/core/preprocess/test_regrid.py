"""Between the grid of a scan and one of another spacing."""

import numpy as np
import pytest

from core.preprocess.crop import Box
from core.preprocess.regrid import Regrid
from core.preprocess.resample import resample_image, resample_label

OWN = (12, 20, 30)
GRIDS = [
    Regrid(OWN, (2.0, 1.0, 1.0), (1.0, 1.5, 2.0)),
    Regrid(OWN, (5.0, 0.7, 0.7), (1.0, 1.0, 1.0)),  # slices apart: nothing between them
    Regrid(OWN, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
]


@pytest.mark.parametrize("grid", GRIDS)
def test_both_grids_cover_the_same_volume_at_about_the_wanted_spacing(grid):
    extent = np.multiply(grid.own, grid.own_mm)
    np.testing.assert_allclose(np.multiply(grid.shape, grid.spacing_mm), extent)
    # The number of voxels is rounded.
    rounding = 0.5 * np.array(grid.wanted_mm) / grid.shape
    assert (np.abs(np.subtract(grid.spacing_mm, grid.wanted_mm)) <= rounding * 1.01).all()


@pytest.mark.parametrize("grid", GRIDS)
def test_values_and_labels_that_do_not_vary_come_back(grid):
    hu, ids = np.full(grid.own, 40, np.int16), np.full(grid.own, 2, np.uint8)
    image, label = grid.image(hu), grid.label(ids)
    assert image.shape == label.shape == grid.shape
    np.testing.assert_allclose(grid.value_back(image), hu, rtol=1e-6)  # shares sum to 1 in float32
    probs = np.eye(3, dtype=np.float32)[label]
    np.testing.assert_array_equal(grid.label_back(probs), ids)


def test_slices_far_apart_are_not_mixed():
    _, grid, _ = GRIDS
    ids = np.arange(12, dtype=np.uint8)[:, None, None] * np.ones(grid.own, np.uint8)
    nearest = (np.arange(60) // 5)[:, None, None] * np.ones(grid.shape, np.uint8)
    np.testing.assert_array_equal(grid.label(ids), nearest)
    np.testing.assert_array_equal(grid.label(ids), resample_label(ids, grid.shape, axis=0))
    hu = np.random.default_rng(0).normal(size=grid.own).astype(np.float32)
    np.testing.assert_array_equal(grid.image(hu), resample_image(hu, grid.shape, axis=0))


@pytest.mark.parametrize("grid", GRIDS)
def test_a_box_comes_back_with_all_that_it_holds(grid):
    whole = Box((0, 0, 0), grid.shape)
    assert grid.box_back(whole) == Box((0, 0, 0), grid.own)
    box = Box((3, 5, 7), (6, 9, 12))
    back = grid.box_back(box)
    for axis, scale in enumerate(np.divide(grid.own, grid.shape)):
        assert back.start[axis] <= box.start[axis] * scale < back.start[axis] + 1
        assert back.stop[axis] - 1 < box.stop[axis] * scale <= back.stop[axis]
