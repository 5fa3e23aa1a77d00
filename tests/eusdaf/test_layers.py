"""Interpolation against what it has to keep, and against JAX."""

import jax
import numpy as np
import pytest

from eusdaf.model.layers import interpolation, resize


@pytest.mark.parametrize("grid", ["half_pixel", "align_corners"])
@pytest.mark.parametrize(("old", "new"), [(4, 8), (5, 13), (1, 3), (7, 3), (3, 1)])
def test_weights_of_a_new_pixel_sum_to_one_and_are_two_at_most(old, new, grid):
    matrix = interpolation(old, new, grid)
    np.testing.assert_allclose(matrix.sum(1), np.ones(new))
    assert (np.count_nonzero(matrix, axis=1) <= 2).all()


def test_align_corners_keeps_the_ends_of_a_line():
    # Five points on a line of three: a half step each.
    np.testing.assert_allclose(
        interpolation(3, 5, "align_corners") @ np.array([0.0, 2.0, 4.0]), np.arange(5)
    )


def test_half_pixel_keeps_the_borders_of_a_line():
    # Pixels at 0.5, 1.5 become pixels at 0.25, 0.75, 1.25, 1.75; none lies beyond the outer ones.
    np.testing.assert_allclose(
        interpolation(2, 4, "half_pixel") @ np.array([0.0, 1.0]), [0, 0.25, 0.75, 1]
    )


def test_half_pixel_enlargement_equals_jax_image():
    image = jax.random.normal(jax.random.key(0), (2, 3, 5, 2))
    expected = jax.image.resize(image, (2, 12, 7, 2), "linear", antialias=False)
    np.testing.assert_allclose(resize(image, (12, 7), "half_pixel"), expected, atol=1e-6)


def test_the_same_size_is_the_same_image():
    image = jax.random.normal(jax.random.key(0), (1, 3, 5, 2))
    assert resize(image, (3, 5), "align_corners") is image
