import tracemalloc

import numpy as np
import pytest

from core.preprocess.intensity import (
    normalize,
    statistics,
    window,
    window_int16,
    z_score,
)

RNG = np.random.default_rng(0)
HU = RNG.integers(-1024, 1500, (5, 6, 7)).astype(np.int16)


def test_window_clips_and_keeps_whole_hounsfield_units():
    clipped = window(HU, -100, 240)
    assert clipped.dtype == np.int16
    np.testing.assert_array_equal(clipped, np.minimum(np.maximum(HU, -100), 240))


@pytest.mark.parametrize("bounds", [(-100, 240), (-100.0, 240.0)])
def test_whole_bounds_keep_whole_hounsfield_units_whatever_their_type(bounds):
    assert window(HU, *bounds).dtype == np.int16


@pytest.mark.parametrize("bounds", [(-100.0, 240.0), (-99.5, 12.25)])
def test_window_to_int16_is_rounding_after_clipping(bounds):
    for hu in (HU, HU.astype(np.float32) + np.float32(0.5)):
        expected = np.rint(np.clip(hu.astype(np.float64), *bounds)).astype(np.int16)
        np.testing.assert_array_equal(window_int16(hu, *bounds), expected)


def test_window_to_int16_makes_no_float_copy_of_a_scan():
    hu = np.zeros((64, 128, 128), np.int16)
    tracemalloc.start()
    window_int16(hu, -100.0, 240.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The result, and copies of one slice: a float64 copy would be four times the scan.
    assert peak < 1.3 * hu.nbytes


def test_window_is_idempotent():
    once = window(HU, -100, 240)
    np.testing.assert_array_equal(window(once, -100, 240), once)


def test_window_refuses_swapped_bounds():
    with pytest.raises(ValueError, match=r"low < high; got \[240, -100\]"):
        window(HU, 240, -100)


def test_statistics_are_those_of_float64():
    mean, std = statistics(HU)
    # Sums of 210 terms in another order.
    np.testing.assert_allclose([mean, std], [HU.mean(), HU.std()], rtol=1e-12)


def test_statistics_do_not_cancel_for_a_large_offset():
    offset = 2.0**20
    shifted = (HU[:, :, :4] % 7).astype(np.float32) + np.float32(offset)
    expected = np.std(shifted.astype(np.float64) - offset)
    np.testing.assert_allclose(statistics(shifted)[1], expected, rtol=1e-9)


def test_statistics_refuse_an_empty_array():
    with pytest.raises(ValueError, match=r"must have voxels; got shape \(0, 4, 4\)"):
        statistics(np.zeros((0, 4, 4)))


def test_z_score_has_zero_mean_and_unit_variance():
    scored = z_score(HU)
    assert scored.dtype == np.float32
    # float32 rounding of values below 4.
    np.testing.assert_allclose(scored.mean(dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(scored.std(dtype=np.float64), 1, atol=1e-6)


def test_z_score_ignores_scale_and_offset():
    # Both inputs are exact in float32; the difference is the rounding of the mean and of 1/std.
    np.testing.assert_allclose(z_score(2.0 * HU + 64.0), z_score(HU), atol=1e-6)


def test_z_score_of_a_constant_scan_is_zero():
    np.testing.assert_array_equal(z_score(np.full((3, 4, 5), -1024, np.int16)), 0)


def test_normalizing_a_patch_equals_a_patch_of_the_normalized_scan():
    patch = np.s_[1:4, 2:5, 3:6]
    np.testing.assert_array_equal(normalize(HU[patch], *statistics(HU)), z_score(HU)[patch])
