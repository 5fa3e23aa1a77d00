import numpy as np
import pytest
from scipy import ndimage

from core.preprocess.crop import Box
from core.volume import CANONICAL_DIRECTION, Volume, canonical, reorient
from lnmet.registration import grids

SCAN = Volume(np.zeros((12, 20, 24), np.int16), (5.0, 2.0, 2.0), (10, -7, 3), CANONICAL_DIRECTION)


def ramps(scan: Volume) -> list[Volume]:
    """Scans whose values are the place in the patient, x, y and z in mm."""
    voxels = np.indices(scan.shape).reshape(3, -1)
    points = scan.affine_lps[:3, :3] @ voxels + scan.affine_lps[:3, 3:]
    return [scan.with_array(p.reshape(scan.shape).astype(np.float32)) for p in points]


def test_cubes_fill_the_scan_and_their_edges_coincide():
    grid = grids.isotropic(SCAN, 4.0)
    assert grid.shape == (15, 10, 12)
    np.testing.assert_allclose(grid.step, (0.8, 2, 2))
    # The edge of a voxel is half a voxel before its center.
    np.testing.assert_allclose(grid.start - grid.step / 2, -0.5)


def test_a_part_lies_where_it_lay_in_the_whole():
    grid = grids.isotropic(SCAN, 4.0)
    box = Box((-1, 2, 3), (11, 14, 15))
    cut = grids.part(grid, box)
    assert cut.shape == (12, 12, 12)
    np.testing.assert_allclose(
        cut.affine() @ (0, 0, 0, 1), grid.affine() @ (*box.start, 1), atol=1e-12
    )
    np.testing.assert_array_equal(cut.step, grid.step)


def test_sizes_grow_to_multiples_on_both_sides():
    box = grids.in_multiples(Box((0, 5, 2), (24, 30, 3)), 12)
    assert box.shape == (24, 36, 12)
    assert box == Box((0, 0, -3), (24, 36, 9))


@pytest.mark.parametrize("axis", range(3))
def test_a_scan_of_any_grid_is_found_at_its_place_in_the_patient(axis):
    oblique = CANONICAL_DIRECTION @ np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    target = Volume(np.zeros((6, 8, 9), np.int16), (4.0, 3.0, 3.0), (22, 9, 15), oblique)
    grid = grids.isotropic(target, 3.0)
    source = reorient(ramps(SCAN)[axis], np.diag([-1.0, 1.0, -1.0]))
    matrix = grids.between(target, grid, source)
    # At the border of the source, averages take it as flat beyond.
    inner = ndimage.binary_erosion(grids.covered(matrix, grid.shape, source))
    found = grids.resample(source, matrix, grid.shape, 3.0)
    voxels = np.indices(grid.shape).reshape(3, -1)
    to_patient = target.affine_lps @ grid.affine()
    expected = (to_patient[:3, :3] @ voxels + to_patient[:3, 3:])[axis].reshape(grid.shape)
    assert inner.sum() > 20
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-4)


def test_what_one_voxel_of_the_grid_covers_is_averaged():
    noise = np.random.default_rng(0).normal(size=(40, 40, 40)).astype(np.float32)
    scan = Volume(noise, (1.0, 1.0, 1.0), (0, 0, 0), CANONICAL_DIRECTION)
    grid = grids.isotropic(scan, 4.0)
    coarse = grids.resample(scan, grids.between(scan, grid, scan), grid.shape, 4.0)
    # A mean over the 4³ voxels would leave 1 / 8; the Gaussian of that width leaves a little less.
    assert 0.06 < coarse.std() < 0.14


def test_covered_voxels_are_those_within_half_a_voxel_of_the_scan():
    half = Volume(SCAN.array[:6], SCAN.spacing_mm, SCAN.origin_mm, SCAN.direction)
    grid = grids.isotropic(SCAN, 5.0)
    inside = grids.covered(grids.between(SCAN, grid, half), grid.shape, half)
    assert inside[:6].all()
    assert not inside[6:].any()


def test_the_body_is_the_largest_part_without_the_couch():
    hu = np.full((4, 12, 12), -1000.0)
    hu[:, 2:7, 2:9], hu[:, 9, 1:11] = 40, 200
    np.testing.assert_array_equal(grids.body(hu, -400.0)[:, 9], False)
    assert grids.body(hu, -400.0).sum() == 4 * 5 * 7


def test_a_field_of_the_grid_is_the_same_in_mm_on_the_scan():
    grid = grids.part(grids.isotropic(SCAN, 4.0), Box((2, 1, 1), (14, 9, 11)))
    on_grid = np.stack([np.full(grid.shape, u, np.float32) for u in (5, -2, 1)])
    on_scan = grids.to_scan(on_grid, grid, SCAN.shape)
    assert on_scan.dtype == np.float32
    for axis, (u, mm) in enumerate(zip((5, -2, 1), SCAN.spacing_mm, strict=True)):
        np.testing.assert_allclose(on_scan[axis] * mm, u * 4.0, rtol=1e-6)


def test_a_field_is_interpolated_at_the_voxels_of_the_scan():
    grid = grids.isotropic(SCAN, 4.0)
    places = np.indices(grid.shape, np.float32)
    on_scan = grids.to_scan(places, grid, SCAN.shape)
    for axis in range(3):
        index = np.indices(SCAN.shape)[axis]
        at = np.clip((index - grid.start[axis]) / grid.step[axis], 0, grid.shape[axis] - 1)
        np.testing.assert_allclose(on_scan[axis], at * grid.step[axis], rtol=1e-5, atol=1e-5)


def test_canonical_scans_are_where_they_were():
    flipped = reorient(SCAN, -CANONICAL_DIRECTION)
    grid = grids.isotropic(SCAN, 4.0)
    np.testing.assert_allclose(
        grids.between(SCAN, grid, canonical(flipped)), grids.between(SCAN, grid, SCAN), atol=1e-9
    )
