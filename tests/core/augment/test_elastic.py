"""The filter against scipy, and how far pixels go."""

from inspect import unwrap

import jax
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from core.augment.elastic import displacement, smoothing

PAPER = {"reach_px": 2.048, "sigma_px": 20.48}


@pytest.mark.parametrize(("size", "sigma"), [(256, 20.48), (40, 3.0), (7, 0.5), (1, 2.0)])
def test_the_thin_matrices_are_the_gaussian_filter_of_scipy(size, sigma):
    out, into = smoothing(size, sigma)
    noise = np.random.default_rng(0).uniform(-1, 1, (size, 5))
    expected = gaussian_filter1d(noise, sigma, axis=0, mode="constant", truncate=10)
    # What is left out and float32's rounding, each 2^-23 of the largest singular value, over a
    # vector of length √size.
    np.testing.assert_allclose(out @ (into @ noise), expected, atol=2**-21 * np.sqrt(size))


def test_the_filter_is_thin_at_the_size_of_the_paper():
    assert smoothing(256, 20.48)[0].shape[1] <= 32


def test_the_largest_component_of_simards_field_is_the_reach():
    for seed in range(3):
        field = displacement(jax.random.key(seed), (64, 80), reading="simard", **PAPER)
        assert field.shape == (64, 80, 2)
        assert np.abs(field).max() == pytest.approx(2.048, rel=1e-6)  # one float32 rounding


def test_the_literal_field_has_the_spread_of_filtered_noise():
    keys = jax.random.split(jax.random.key(0), 400)
    options = {"reading": "literal", "reach_px": 2.0, "sigma_px": 4.0}
    fields = jax.vmap(lambda key: displacement(key, (33, 33), **options))(keys)
    middle = np.asarray(fields[:, 16, 16])
    # Uniform noise on ±1 has variance 1/3; the squares of a Gaussian kernel sum to 1 / (4 π σ²).
    expected = 2.0 / (4.0 * np.sqrt(12 * np.pi))
    # The deviation of 800 numbers has a standard error of 2.5 %.
    assert middle.std() == pytest.approx(expected, rel=0.1)
    assert abs(middle.mean()) < 4 * expected / np.sqrt(800)


def test_both_readings_differ_by_a_factor_only():
    simard, literal = (
        displacement(jax.random.key(2), (40, 40), reading=reading, **PAPER)
        for reading in ("simard", "literal")
    )
    factor = 2.048 / np.abs(literal).max()
    np.testing.assert_allclose(simard, factor * literal, atol=1e-5)  # float32
    assert factor > 20


def test_neighbors_move_alike():
    field = displacement(jax.random.key(1), (256, 256), reading="simard", **PAPER)
    # A field of largest value a, smoothed with σ, is no steeper than about a few a / σ.
    steepest = max(float(np.abs(np.diff(field, axis=axis)).max()) for axis in (0, 1))
    assert steepest < 4 * 2.048 / 20.48


def test_refuses_another_reading_and_no_width():
    with pytest.raises(ValueError, match="reading must be one of"):
        unwrap(displacement)(jax.random.key(0), (4, 4), reading="none", **PAPER)
    with pytest.raises(ValueError, match="sigma_px must be positive; got 0"):
        displacement(jax.random.key(0), (4, 4), reading="simard", reach_px=1.0, sigma_px=0)
