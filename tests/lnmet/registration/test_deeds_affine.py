import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import affine_transform

from core.errors import InputError
from lnmet.registration.deeds import register
from lnmet.registration.deeds_affine import _fitted, _smoothed, align, register_aligned
from lnmet.registration.deeds_config import AffineConfig
from tests.lnmet.registration.test_deeds import SMALL, lengths, textured

SMALL_AFFINE = AffineConfig(grid=(5, 4), radius=(4, 3), step=(3, 1))
SHAPE = (36, 40, 44)
TRUTH = np.asarray(
    [[1.03, 0.02, 0.0, -5.0], [0.0, 0.96, 0.03, 4.0], [-0.02, 0.0, 1.02, 14.0], [0, 0, 0, 1]]
)
"""Further along x than the small levels of DEEDS search."""


def true_field() -> np.ndarray:
    voxels = np.indices(SHAPE).reshape(3, -1)
    return (TRUTH[:3, :3] @ voxels + TRUTH[:3, 3:] - voxels).reshape(3, *SHAPE)


def moved() -> np.ndarray:
    return affine_transform(textured(SHAPE), TRUTH, order=3, mode="nearest")


def test_an_affine_map_is_found():
    found = align(moved(), textured(SHAPE), SMALL_AFFINE)
    voxels = np.concatenate([np.indices(SHAPE).reshape(3, -1), np.ones((1, np.prod(SHAPE)))])
    away = np.linalg.norm(((found - TRUTH) @ voxels)[:3], axis=0)
    # Blocks move by whole voxels; the map is on average as close as half of their diagonal.
    assert away.mean() < np.sqrt(3) / 2
    np.testing.assert_array_equal(found[3], [0, 0, 0, 1])


def test_deeds_goes_on_from_the_affine_map():
    truth = true_field()
    field = register_aligned(moved(), textured(SHAPE), SMALL, SMALL_AFFINE)
    assert field.shape == (3, *SHAPE)
    away, alone = (
        lengths(truth - f, 8).mean() for f in (field, register(moved(), textured(SHAPE), SMALL))
    )
    assert away < lengths(truth, 8).mean() / 10
    assert away < alone


def test_smoothing_adds_half_of_each_neighbour_in_place():
    costs = np.random.default_rng(0).uniform(size=(3, 5, 4, 2)).astype(np.float32)
    expected = costs.copy()
    for i in range(5):
        before, after = expected[:, max(i - 1, 0)], expected[:, min(i + 1, 4)]
        expected[:, i] = expected[:, i] + (before + after) / 2
    np.testing.assert_allclose(_smoothed(jnp.asarray(costs), 1), expected, rtol=1e-6)


def test_the_worse_half_is_not_heard():
    rng = np.random.default_rng(0)
    here = rng.uniform(0, 50, (60, 3))
    there = here @ TRUTH[:3, :3].T + TRUTH[:3, 3]
    there[:20] += rng.normal(size=(20, 3)) * 10
    np.testing.assert_allclose(_fitted(here, there, rounds=15), TRUTH, atol=1e-9)


def test_air_is_refused():
    air = np.full(SHAPE, -1024.0)
    with pytest.raises(InputError, match=r"only 0 blocks of 5 voxels hold anything but air"):
        align(air, air, SMALL_AFFINE)


def test_less_than_six_blocks_are_refused():
    image = np.zeros((42, 41, 50))
    with pytest.raises(ValueError, match=r"at least 42 voxels along each axis.*\(42, 41, 50\)"):
        align(image, image)


def test_no_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds must be positive"):
        AffineConfig(rounds=0)
