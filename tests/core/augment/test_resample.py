"""Interpolation against scipy, and what it leaves alone."""

from inspect import unwrap

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from core.augment.resample import resample as interpolate

SHAPE = (9, 12)
RNG = np.random.default_rng(0)
IMAGE = RNG.random((*SHAPE, 2), np.float32)
MASK = RNG.random(SHAPE) < 0.4
GRID = np.stack(np.indices(SHAPE), -1).astype(np.float32)


def resample(image, mask, source, *, fill):
    return interpolate(image, mask, jnp.asarray(source, jnp.float32), fill=fill)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float32])
def test_where_nothing_moves_nothing_changes(dtype):
    image, mask = resample(jnp.asarray(IMAGE), jnp.asarray(MASK, dtype), GRID, fill=7.0)
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(mask, MASK.astype(dtype))
    assert mask.dtype == dtype


def test_whole_steps_move_pixels_and_bring_in_the_fill():
    image, mask = resample(
        jnp.asarray(IMAGE), jnp.asarray(MASK), GRID + np.array([2.0, -3.0]), fill=7.0
    )
    expected, truth = np.full_like(IMAGE, 7), np.zeros_like(MASK)
    expected[:-2, 3:], truth[:-2, 3:] = IMAGE[2:, :-3], MASK[2:, :-3]
    np.testing.assert_array_equal(image, expected)
    np.testing.assert_array_equal(mask, truth)


@pytest.mark.parametrize("fill", [0.0, -2.5])
def test_is_linear_interpolation_as_in_scipy(fill):
    source = (GRID + RNG.normal(scale=4, size=GRID.shape)).astype(np.float32)
    image, mask = resample(jnp.asarray(IMAGE), jnp.asarray(MASK), source, fill=fill)
    places = source.transpose(2, 0, 1).astype(np.float64)
    peer = {"order": 1, "mode": "grid-constant"}
    for c in range(2):
        expected = map_coordinates(IMAGE[..., c].astype(np.float64), places, cval=fill, **peer)
        # float32 weights against float64.
        np.testing.assert_allclose(image[..., c], expected, atol=1e-5)
    amount = map_coordinates(MASK.astype(float), places, cval=0, **peer)
    sure = np.abs(amount - 0.5) > 1e-5
    np.testing.assert_array_equal(np.asarray(mask)[sure], amount[sure] > 0.5)
    assert mask.dtype == bool
    assert sure.mean() > 0.95


def test_a_half_covered_pixel_is_not_mask():
    mask = jnp.zeros((1, 4)).at[0, :2].set(1)
    places = np.stack(np.indices((1, 4)), -1) + np.array([0, 0.5])
    moved = resample(jnp.zeros((1, 4, 1)), mask, jnp.asarray(places, jnp.float32), fill=0.0)[1]
    np.testing.assert_array_equal(moved, [[1, 0, 0, 0]])


def test_places_far_outside_are_the_fill():
    for far in (-1e9, 1e9):
        image, mask = resample(jnp.asarray(IMAGE), jnp.ones(SHAPE, bool), GRID + far, fill=3.0)
        assert (np.asarray(image) == 3).all()
        assert not np.asarray(mask).any()


def test_refuses_shapes_that_do_not_belong_together():
    with pytest.raises(ValueError, match=r"expected mask \(9, 12\) and source \(9, 12, 2\)"):
        unwrap(interpolate)(jnp.asarray(IMAGE), jnp.asarray(MASK.T), GRID, fill=0.0)
    with pytest.raises(ValueError, match=r"expected mask \(9, 12\) and source \(9, 12, 2\)"):
        unwrap(interpolate)(jnp.asarray(IMAGE), jnp.asarray(MASK), GRID[:-1], fill=0.0)
    with pytest.raises(ValueError, match="image must have 3 axes"):
        unwrap(interpolate)(jnp.asarray(IMAGE[..., 0]), jnp.asarray(MASK), GRID, fill=0.0)
