"""Turns and mirrors against numpy, draws, and the one interpolation."""

from inspect import unwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from core.augment.elastic import displacement
from core.augment.resample import resample
from core.augment.warp import affine_source, warp
from core.random import stream

RNG = np.random.default_rng(0)
IMAGE = RNG.random((8, 8, 1), np.float32)
MASK = (RNG.random((8, 8)) < 0.4).astype(np.uint8)
STILL = {
    "degrees": (0.0,),
    "scales": (1.0,),
    "flip": False,
    "elastic": "none",
    "reach_px": 2.048,
    "sigma_px": 20.48,
    "fill": 0.0,
}
PAPER = {
    **STILL,
    "degrees": (-5.0, -2.5, 0.0, 2.5, 5.0),
    "scales": (0.9, 1.0, 1.1),
    "flip": True,
    "elastic": "simard",
}


# Eager calls compile every operation by itself.
jitted = jax.jit(warp, static_argnames=tuple(STILL))
resampled = jax.jit(resample, static_argnames="fill")


@jax.jit
def _moved(degrees, scale, flipped):
    source = affine_source((8, 8), degrees=degrees, scale=scale, flipped=flipped)
    return resample(jnp.asarray(IMAGE), jnp.asarray(MASK), source, fill=0.0)


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("turns", range(-1, 3))
def test_quarter_turns_and_mirrors_are_those_of_numpy(turns, flipped):
    image, mask = _moved(90.0 * turns, 1.0, flipped)
    arrange = (lambda a: np.fliplr(np.rot90(a, turns))) if flipped else lambda a: np.rot90(a, turns)
    # cos 90° is 4e-8 in float32, so places are off by a few 1e-7 pixels.
    np.testing.assert_allclose(image, arrange(IMAGE), atol=5e-6)
    np.testing.assert_array_equal(mask, arrange(MASK))


def test_no_turn_no_scale_no_mirror_changes_no_bit():
    image, mask = jitted(jax.random.key(0), jnp.asarray(IMAGE), jnp.asarray(MASK), **STILL)
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(mask, MASK)


def test_scale_two_shows_the_middle_half_twice_as_large():
    ramp = jnp.asarray(np.indices((9, 9))[1][..., None], jnp.float32)
    source = affine_source((9, 9), degrees=0.0, scale=2.0, flipped=False)
    image, _ = resampled(ramp, jnp.zeros((9, 9)), source, fill=0.0)
    np.testing.assert_array_equal(image[0, :, 0], 4 + (np.arange(9) - 4) / 2)


def test_an_affine_map_equals_scipys_on_an_oblong_image():
    shape = (7, 12)
    image = RNG.random(shape, np.float32)
    angle, scale = np.deg2rad(20.0), 0.8
    middle = np.array([3.0, 5.5])[:, None, None]
    y, x = np.indices(shape) - middle
    x = -x
    turned = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
    places = np.array(turned) / scale + middle
    expected = map_coordinates(image, places, order=1, mode="grid-constant", cval=-1)
    source = affine_source(shape, degrees=20.0, scale=scale, flipped=True)
    image_there, _ = resampled(jnp.asarray(image[..., None]), jnp.zeros(shape), source, fill=-1.0)
    np.testing.assert_allclose(image_there[..., 0], expected, atol=1e-5)  # float32 places


def test_every_choice_is_drawn_and_comes_from_the_sets():
    # A gradient image tells the map: its values at two pixels are angle, scale and mirror.
    rows, columns = np.indices((33, 33)) - 16.0
    image = jnp.asarray(np.stack([rows, columns], -1), jnp.float32)
    options = {**PAPER, "elastic": "none"}
    keys = jax.random.split(jax.random.key(0), 600)
    draw = jax.jit(jax.vmap(lambda key: warp(key, image, jnp.zeros((33, 33)), **options)[0]))
    moved = np.asarray(draw(keys))
    step = moved[:, 17, 16]  # one row below the center: (cos, −sin) / scale
    across = moved[:, 16, 17]  # one column right: ±(sin, cos) / scale
    scale = 1 / np.hypot(*step.T)
    angle = np.rad2deg(np.arctan2(-step[:, 1], step[:, 0]))
    flipped = across[:, 1] < 0
    drawn = [angle, scale, flipped]
    combinations = {tuple(t) for t in np.column_stack(drawn).astype(float).round(3).tolist()}
    assert {a for a, _, _ in combinations} == set(PAPER["degrees"])
    assert {s for _, s, _ in combinations} == set(PAPER["scales"])
    assert len(combinations) == 5 * 3 * 2
    # Three binomial standard deviations.
    assert abs(flipped.mean() - 0.5) < 3 * 0.5 / np.sqrt(600)
    assert abs((np.round(angle, 3) == 5).mean() - 1 / 5) < 3 * 0.4 / np.sqrt(600)


def test_affine_and_elastic_are_one_interpolation():
    key, options = jax.random.key(4), {**PAPER, "degrees": (5.0,), "scales": (0.9,), "flip": False}
    image, mask = jitted(key, jnp.asarray(IMAGE), jnp.asarray(MASK), **options)
    made = {"reading": "simard", "reach_px": 2.048, "sigma_px": 20.48}
    source = affine_source((8, 8), degrees=5.0, scale=0.9, flipped=False)
    source = source + displacement(stream(key, "elastic"), (8, 8), **made)
    expected = resampled(jnp.asarray(IMAGE), jnp.asarray(MASK), source, fill=0.0)
    np.testing.assert_allclose(image, expected[0], atol=1e-5)  # float32, other fusions
    np.testing.assert_array_equal(mask, expected[1])


@pytest.mark.parametrize("elastic", ["simard", "literal", "none"])
def test_a_mask_stays_binary_and_moves_with_its_image(elastic):
    disk = (np.hypot(*(np.indices((64, 64)) - 31.5)) < 14).astype(np.float32)
    options = {**PAPER, "elastic": elastic, "sigma_px": 8.0}
    for seed in range(4):
        image, mask = jitted(jax.random.key(seed), disk[..., None], jnp.asarray(disk), **options)
        assert set(np.unique(mask)) == {0, 1}
        np.testing.assert_array_equal(mask, image[..., 0] > 0.5)


def test_refuses_nothing_to_draw_from_and_impossible_choices():
    sample = (jax.random.key(0), jnp.asarray(IMAGE), jnp.asarray(MASK))
    with pytest.raises(ValueError, match=r"degrees=\(\) and scales=\(1.0,\) need one number"):
        warp(*sample, **{**STILL, "degrees": ()})
    with pytest.raises(ValueError, match="a scale must be positive; got 0"):
        warp(*sample, **{**STILL, "scales": (1.0, 0.0)})
    with pytest.raises(ValueError, match="elastic must be one of"):
        unwrap(warp)(*sample, **{**STILL, "elastic": "yes"})
