from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from core.phantom.ct.phantom import LABELS, Phantom, make
from core.phantom.deformation import deformed, determinant, node_centers, smooth_field

GRID = {"shape": (40, 60, 70), "spacing_mm": (4.0, 4.5, 4.5)}


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make(3, **GRID, tumor_diameter_mm=24.0)


def test_equal_seeds_give_equal_fields_and_others_others(phantom):
    first, again, other = (deformed(phantom, s, amplitude_mm=12.0) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.field, again.field)
    np.testing.assert_array_equal(first.arterial.array, again.arterial.array)
    assert np.abs(first.field - other.field).max() > 1


@pytest.mark.parametrize("seed", range(4))
def test_a_breath_reaches_the_amplitude_along_z_half_of_it_along_y_and_does_not_fold(seed):
    field = smooth_field(seed, *GRID.values(), amplitude_mm=15.0)
    reach_mm = [np.abs(u).max() * s for u, s in zip(field, GRID["spacing_mm"], strict=True)]
    assert 7.5 < reach_mm[0] <= 15 * (1 + 1e-6)  # float32
    np.testing.assert_allclose(reach_mm[1:], [7.5, 4.5], rtol=1e-6)
    assert determinant(field).min() > 0.4


def test_the_field_of_a_patient_does_not_depend_on_the_voxels():
    coarse = smooth_field(5, (20, 30, 30), (8.0, 8.0, 8.0), 12.0)
    fine = smooth_field(5, (39, 59, 59), (4.0, 4.0, 4.0), 12.0)[:, ::2, ::2, ::2] / 2
    # Both are scaled by their own largest value, and that of the finer grid lies closer to the top.
    np.testing.assert_allclose(coarse, fine, atol=0.02)


@pytest.mark.parametrize("axis", range(3))
def test_what_lies_at_x_lies_at_x_plus_u_of_the_arterial_scan(phantom, axis):
    grid = phantom.label
    ramp = grid.with_array((20 * np.indices(grid.shape)[axis]).astype(np.int16))
    case = deformed(replace(phantom, images={"arterial": ramp}), 1, amplitude_mm=12.0)
    places = np.indices(grid.shape) + case.field
    hu = ndimage.map_coordinates(case.arterial.array.astype(float), places, order=1)
    inner = (slice(6, -6),) * 3  # what comes from beyond the border is the border
    assert np.abs(case.arterial.array - ramp.array)[inner].max() > 15
    # Rounded to whole HU, and a place bends between voxels by less than 0.05 of one, 1 HU.
    np.testing.assert_allclose(hu[inner], ramp.array[inner], atol=1.5)
    np.testing.assert_array_equal(case.arterial.affine_lps, grid.affine_lps)
    assert case.arterial.array.dtype == np.int16


def test_a_field_that_would_fold_is_refused(phantom):
    with pytest.raises(ValueError, match=r"amplitude_mm=300\.0 folds .* take a smaller one"):
        deformed(phantom, 1, amplitude_mm=300.0)
    with pytest.raises(ValueError, match="amplitude_mm must be positive"):
        deformed(phantom, 1, amplitude_mm=0.0)


def test_centers_of_nodes_lie_at_the_nodes(phantom):
    centers = node_centers(phantom)
    assert len(centers) > 3
    is_node = np.isin(phantom.label.array, [LABELS["lymph_node"], LABELS["metastatic_lymph_node"]])
    near = ndimage.distance_transform_edt(~is_node)[tuple(np.rint(centers).astype(int).T)]
    assert near.max() < 1
