import numpy as np
import pytest

from core.volume import CANONICAL_DIRECTION, Volume, reorient
from lnmet.registration.volumes import AIR_HU, warp_label_volume, warp_volume

SHAPE, SPACING_MM, ORIGIN_MM = (11, 9, 10), (2.0, 1.0, 1.5), (3.0, 4.0, 5.0)


def volume(array: np.ndarray) -> Volume:
    return Volume(array, SPACING_MM, ORIGIN_MM, CANONICAL_DIRECTION)


def constant(*displacement: float) -> np.ndarray:
    return np.broadcast_to(np.float32(displacement).reshape(3, 1, 1, 1), (3, *SHAPE))


def numbers(low: int, high: int) -> np.ndarray:
    return np.random.default_rng(0).integers(low, high, SHAPE)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_zero_field_on_one_grid_changes_no_voxel(dtype):
    scan = volume(numbers(-1000, 1000).astype(dtype))
    warped = warp_volume(scan, scan, constant(0, 0, 0), fill=AIR_HU)
    assert warped.array.dtype == dtype
    # The way through the patient and back rounds places by some 1e-6 of a voxel.
    np.testing.assert_allclose(warped.array, scan.array, atol=0.02)


def test_a_zero_field_on_one_grid_changes_no_label():
    label = volume(numbers(0, 4).astype(np.uint8))
    warped = warp_label_volume(label, label, constant(0, 0, 0))
    assert warped.array.dtype == np.uint8
    np.testing.assert_array_equal(warped.array, label.array)


@pytest.mark.parametrize("direction", [CANONICAL_DIRECTION, np.eye(3), -np.eye(3)[[1, 2, 0]]])
def test_the_orientation_of_the_moving_grid_does_not_matter(direction):
    scan, label = volume(numbers(-900, 900).astype(np.int16)), volume(numbers(0, 2) > 0)
    field = constant(2, -1, 3)
    for warp, moving, fill in (
        (lambda *a: warp_volume(*a, fill=AIR_HU), scan, AIR_HU),
        (warp_label_volume, label, False),
    ):
        warped = warp(reorient(moving, direction), scan, field)
        np.testing.assert_array_equal(warped.array[:-2, 1:, :-3], moving.array[2:, :-1, 3:])
        np.testing.assert_array_equal(warped.array[-2:], fill)
        np.testing.assert_array_equal(warped.array[:, 0], fill)
        np.testing.assert_array_equal(warped.array[..., -3:], fill)
        np.testing.assert_array_equal(warped.affine_lps, scan.affine_lps)


def test_a_coarser_label_map_covers_the_same_part_of_the_patient():
    fine = np.zeros(SHAPE, np.uint8)
    fine[2:6, 3:6, 4:8] = 3
    z, y, x = SPACING_MM
    ox, oy, oz = ORIGIN_MM
    # Two voxels along z and x and three along y are one; edges coincide.
    coarse = Volume(
        fine[:10:2, ::3, ::2],
        (2 * z, 3 * y, 2 * x),
        (ox + x / 2, oy + y, oz + z / 2),
        CANONICAL_DIRECTION,
    )
    warped = warp_label_volume(coarse, volume(fine), constant(0, 0, 0))
    np.testing.assert_array_equal(warped.array, fine)


def test_a_scan_of_few_slices_is_warped_at_once():
    thin = volume(numbers(0, 9)[:3].astype(np.int16))
    warped = warp_volume(thin, thin, np.zeros((3, *thin.shape), np.float32), fill=AIR_HU)
    np.testing.assert_array_equal(warped.array, thin.array)
