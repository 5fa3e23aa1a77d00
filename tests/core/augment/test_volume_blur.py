"""The filter against scipy's, and the coarse grid against a loop over its voxels."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import correlate1d

from core.augment.volume_blur import blur_matrix, blurred, coarse_matrix, coarsened

IMAGE = jnp.asarray(np.random.default_rng(0).normal(size=(6, 9, 8, 2)), jnp.float32)


def gaussian(sigma):
    reach = int(3 * sigma + 0.25)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return taps / taps.sum()


def test_is_a_gaussian_filter_of_each_axis_with_its_own_width():
    sigma = np.array([[0.5, 0.8, 1.0], [0.99, 0.6, 0.7]])
    changed = blurred(IMAGE, jnp.asarray(sigma, jnp.float32))
    for c in range(2):
        expected = np.asarray(IMAGE[..., c], np.float64)
        for axis in range(3):
            expected = correlate1d(expected, gaussian(sigma[c, axis]), axis, mode="mirror")
        # float32 against float64.
        np.testing.assert_allclose(changed[..., c], expected, atol=1e-6)


@pytest.mark.parametrize(("sigma", "reach"), [(0.5, 1), (0.58, 1), (0.59, 2), (0.91, 2), (0.92, 3)])
def test_the_filter_reaches_three_deviations(sigma, reach):
    line = jnp.zeros((4, 4, 15, 1)).at[:, :, 7].set(1.0)
    changed = blurred(line, jnp.full((1, 3), sigma))[0, 0, :, 0]
    assert np.flatnonzero(changed).tolist() == list(range(7 - reach, 8 + reach))


def test_a_constant_image_stays_as_it_is():
    image = jnp.full((5, 5, 5, 1), 2.5)
    # Weights sum to 1, a voxel of the coarse grid has the value of all: rounding only.
    np.testing.assert_allclose(blurred(image, jnp.ones((1, 3))), image, rtol=1e-6)
    np.testing.assert_allclose(coarsened(image, jnp.array([0.6])), image, rtol=1e-6)


def coarse_line(line, zoom):
    """Nearest down, linear up, one number at a time."""
    size = len(line)
    num = round(zoom * size)
    coarse = [line[int((j + 0.5) * size / num)] for j in range(num)]
    out = []
    for i in range(size):
        place = max((i + 0.5) * num / size - 0.5, 0)
        j = int(place)
        after = coarse[min(j + 1, num - 1)]
        out.append(coarse[j] + (place - j) * (after - coarse[j]))
    return out


@pytest.mark.parametrize("zooms", [(0.5, 0.53), (0.7, 0.81), (0.9, 0.99)])
def test_is_nearest_down_and_linear_up_along_each_axis(zooms):
    changed = coarsened(IMAGE, jnp.array(zooms))
    for c, zoom in enumerate(zooms):
        expected = np.asarray(IMAGE[..., c], np.float64)
        for axis in range(3):
            expected = np.apply_along_axis(coarse_line, axis, expected, zoom)
        # float32 against float64.
        np.testing.assert_allclose(changed[..., c], expected, atol=1e-6)


def test_a_zoom_of_one_is_the_identity():
    np.testing.assert_array_equal(coarse_matrix(7, jnp.ones(1))[0], np.eye(7))
    np.testing.assert_array_equal(coarsened(IMAGE, jnp.ones(2)), IMAGE)


@pytest.mark.parametrize("size", [1, 2, 5, 48, 160])
@pytest.mark.parametrize("matrix_of", [coarse_matrix, blur_matrix])
def test_every_voxel_is_a_mean_of_voxels(matrix_of, size):
    matrix = matrix_of(size, jnp.linspace(0.01, 1, 11))
    assert (matrix >= 0).all()
    # Two or seven weights.
    np.testing.assert_allclose(matrix.sum(-1), 1, rtol=1e-6)
