"""What each change of intensity keeps, and its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.augment.volume_intensity import SPACE, brightened, contrasted, noisy, powered

IMAGE = jnp.asarray(np.random.default_rng(0).normal(3, 2, (6, 7, 8, 2)), jnp.float32)
CONSTANT = jnp.full((4, 5, 6, 2), -1.7)
FACTORS = jnp.array([0.75, 1.5])


def test_noise_has_the_given_deviation_and_no_mean():
    image = jnp.zeros((20, 20, 20, 2))
    noise = noisy(jax.random.key(0), image, jnp.float32(0.3))
    # Four standard errors of a mean and of a deviation of 16,000 numbers.
    assert abs(noise.mean()) < 4 * 0.3 / np.sqrt(noise.size)
    assert abs(noise.std() - 0.3) < 4 * 0.3 / np.sqrt(2 * noise.size)
    assert not np.array_equal(noise[..., 0], noise[..., 1])


def test_brightness_multiplies_each_channel_by_its_factor():
    np.testing.assert_array_equal(brightened(IMAGE, FACTORS), np.asarray(IMAGE) * np.array(FACTORS))


def test_contrast_scales_distances_from_the_mean_within_the_range():
    changed = np.asarray(contrasted(IMAGE, FACTORS))
    for c, factor in enumerate(FACTORS):
        channel = np.asarray(IMAGE[..., c], np.float64)
        expected = channel.mean() + float(factor) * (channel - channel.mean())
        expected = expected.clip(channel.min(), channel.max())
        # Values up to 10 in float32.
        np.testing.assert_allclose(changed[..., c], expected, atol=1e-5)
        assert channel.min() <= changed[..., c].min() <= changed[..., c].max() <= channel.max()
    # A factor of 1.5 takes the extremes past the range; that is where it is cut.
    assert changed[..., 1].min() == IMAGE[..., 1].min()


@pytest.mark.parametrize("gamma", [0.7, 1.0, 1.5])
def test_gamma_restores_mean_and_deviation_of_each_channel(gamma):
    changed = powered(IMAGE, jnp.array([gamma, 1.2]))
    # Sums of 336 numbers in float32.
    np.testing.assert_allclose(changed.mean(SPACE), IMAGE.mean(SPACE), rtol=1e-5)
    np.testing.assert_allclose(changed.std(SPACE), IMAGE.std(SPACE), rtol=1e-5)


def test_gamma_is_a_power_of_the_share_of_the_range_up_to_scale_and_shift():
    changed = np.asarray(powered(IMAGE, jnp.array([1.5, 0.7])), np.float64)
    for c, gamma in enumerate((1.5, 0.7)):
        channel = np.asarray(IMAGE[..., c], np.float64)
        share = (channel - channel.min()) / np.ptp(channel)
        expected = share**gamma
        expected = (expected - expected.mean()) / expected.std()
        got = (changed[..., c] - changed[..., c].mean()) / changed[..., c].std()
        # float32 beside float64, at up to four deviations.
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_an_exponent_of_one_and_a_factor_of_one_change_nothing():
    ones = jnp.ones(2)
    np.testing.assert_array_equal(brightened(IMAGE, ones), IMAGE)
    # Rounding in float32 of values up to 10.
    np.testing.assert_allclose(contrasted(IMAGE, ones), IMAGE, atol=1e-5)
    np.testing.assert_allclose(powered(IMAGE, ones), IMAGE, atol=1e-5)


@pytest.mark.parametrize("change", [contrasted, powered])
def test_a_constant_image_stays_as_it_is(change):
    # The mean of equal numbers is rounded.
    np.testing.assert_allclose(change(CONSTANT, FACTORS), CONSTANT, rtol=1e-6)
