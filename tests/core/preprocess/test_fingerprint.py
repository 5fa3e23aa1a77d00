import inspect

import numpy as np
import pytest

from core.preprocess.fingerprint import (
    NUM_VOXELS,
    Intensities,
    draw_foreground,
    intensities,
    median_spacing,
    normalize_ct,
)


def test_every_case_counts_alike_however_small_its_foreground():
    rng, image = np.random.default_rng(0), np.zeros((4, 10, 10), np.int16)
    small, large = np.zeros(image.shape, bool), np.ones(image.shape, bool)
    small[0, 0, :3] = True
    image[small] = [10, 20, 60]
    few, many = draw_foreground(rng, image, small), draw_foreground(rng, image, large)
    assert len(few) == len(many) == NUM_VOXELS
    assert set(np.unique(few)) == {10, 20, 60}
    # The mean of 10,000 draws from 10, 20 and 60, five standard errors wide.
    assert few.mean() == pytest.approx(30, abs=5 * 21.6 / 100)


def test_a_case_without_foreground_adds_nothing():
    empty = draw_foreground(
        np.random.default_rng(0), np.zeros((2, 2, 2)), np.zeros((2, 2, 2), bool)
    )
    one = np.float32([1, 2, 3])
    assert empty.size == 0
    assert intensities([empty, one]) == intensities([one])
    with pytest.raises(ValueError, match="foreground"):
        inspect.unwrap(intensities)([empty])


def test_intensities_are_percentiles_mean_and_spread_of_all_draws():
    first, second = np.random.default_rng(0).normal(40, 30, (2, 5000)).astype(np.float32)
    together = np.concatenate([first, second]).astype(float)
    expected = (*np.percentile(together, [0.5, 99.5]), together.mean(), together.std())
    # Percentiles interpolate between float32 numbers.
    np.testing.assert_allclose(intensities([first, second]), expected, rtol=1e-6)


def test_ct_is_clipped_before_it_is_normalized():
    image = np.array([[[-1000, 0, 40, 3000]]], np.int16)
    normalized = normalize_ct(image, Intensities(-100.5, 240.0, 60.0, 50.0))
    np.testing.assert_allclose(
        normalized, [[[-160.5 / 50, -60 / 50, -20 / 50, 180 / 50]]], rtol=1e-6
    )


def test_the_median_spacing_is_taken_axis_by_axis():
    spacings = [(1.0, 0.7, 0.9), (5.0, 0.6, 0.6), (2.5, 0.8, 0.7)]
    assert median_spacing(spacings) == (2.5, 0.7, 0.7)
