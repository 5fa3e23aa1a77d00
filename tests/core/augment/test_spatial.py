import itertools
from functools import partial
from inspect import unwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from core.augment.spatial import NUM_SYMMETRIES, cube_symmetry, turn_cube

CUBE = jnp.arange(27).reshape(3, 3, 3)
INDICES = range(NUM_SYMMETRIES)
ALL = [turn_cube(CUBE, jnp.int32(i)) for i in INDICES]


def test_the_symmetries_are_the_axis_orders_times_the_mirrors():
    expected = {
        np.flip(np.transpose(CUBE, order), mirrored).tobytes()
        for order in itertools.permutations(range(3))
        for count in range(4)
        for mirrored in itertools.combinations(range(3), count)
    }
    assert {np.asarray(turned).tobytes() for turned in ALL} == expected
    assert len(expected) == NUM_SYMMETRIES


def test_the_worked_example():
    index = 4 + 6 * 1  # order (2, 0, 1), axis 0 mirrored
    cube = np.arange(64).reshape(4, 4, 4)
    expected = cube.transpose(2, 0, 1)[::-1]
    assert expected[1, 2, 3] == cube[2, 3, 3 - 1]
    np.testing.assert_array_equal(turn_cube(jnp.asarray(cube), jnp.int32(index)), expected)


def test_every_symmetry_has_an_inverse():
    for turned in ALL:
        back = [np.array_equal(turn_cube(turned, jnp.int32(i)), CUBE) for i in INDICES]
        assert sum(back) == 1


@pytest.mark.parametrize(("axial", "num"), [(False, NUM_SYMMETRIES), (True, 16)])
def test_draws_are_uniform(axial, num):
    keys = jax.random.split(jax.random.key(0), 4800)
    label = CUBE.astype(jnp.int32)
    image = CUBE[..., None].astype(jnp.float32)
    draw = partial(cube_symmetry, image=image, label=label, axial=axial)
    _, turned = jax.jit(jax.vmap(draw))(keys)
    cubes, counts = np.unique(np.asarray(turned).reshape(4800, 27), axis=0, return_counts=True)
    assert len(cubes) == num
    assert chisquare(counts).pvalue > 0.01


def test_axial_symmetries_move_whole_slices():
    slices = jnp.arange(5)[:, None, None] * jnp.ones((5, 5, 5), jnp.int32)
    for seed in range(8):
        image = slices[..., None].astype(jnp.float32)
        _, ids = cube_symmetry(jax.random.key(seed), image, slices, axial=True)
        np.testing.assert_array_equal(ids, ids[:, :1, :1] * jnp.ones_like(ids))


def test_image_and_label_move_together_and_channels_stay():
    rng = np.random.default_rng(0)
    image = jnp.asarray(rng.random((5, 5, 5, 2), np.float32))
    label = jnp.asarray(np.argsort(image[..., 0].ravel()).argsort().reshape(5, 5, 5))
    for seed in range(8):
        moved, ids = cube_symmetry(jax.random.key(seed), image, label)
        np.testing.assert_array_equal(np.sort(image[..., 0], axis=None)[ids], moved[..., 0])
        pairs = {tuple(p) for p in np.asarray(image).reshape(-1, 2)}
        assert {tuple(p) for p in np.asarray(moved).reshape(-1, 2)} == pairs


@pytest.mark.parametrize("shape", [(3, 3, 4, 1), (3, 4, 4, 1)])
def test_a_patch_that_is_no_cube_is_refused(shape):
    with pytest.raises(ValueError, match="needs a cubic patch; got shape"):
        cube_symmetry(jax.random.key(0), jnp.zeros(shape), jnp.zeros(shape[:3], jnp.int32))


def test_a_label_of_another_shape_is_refused():
    label = jnp.zeros((3, 3, 3), jnp.int32)
    with pytest.raises(ValueError, match="expected equal shapes; got image"):
        unwrap(cube_symmetry)(jax.random.key(0), jnp.zeros((4, 4, 4, 1)), label)
