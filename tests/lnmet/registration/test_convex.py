import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from lnmet.registration import convex
from lnmet.registration.instance import roughness, smooth3

RADIUS = 2


@pytest.fixture(scope="module")
def features() -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).random((9, 10, 12, 3), np.float32))


def test_cost_of_a_displacement_is_the_smoothed_difference_of_the_features(features):
    other = np.random.default_rng(1).random(features.shape, np.float32)
    costs = jax.jit(convex.cost_volume, static_argnums=2)(features, other, RADIUS)
    padded = np.pad(other, ((RADIUS, RADIUS),) * 3 + ((0, 0),))
    for number in (0, 17, 62, 101, 124):
        z, y, x = convex.displacements(RADIUS)[number] + RADIUS
        d, h, w = features.shape[:3]
        squares = (np.asarray(features) - padded[z : z + d, y : y + h, x : x + w]) ** 2
        expected = squares.sum(-1)
        for _ in range(2):
            expected = ndimage.uniform_filter(expected, 3, mode="constant")
        # float32 sums of 81 squares below 1, and two means.
        np.testing.assert_allclose(costs[number], expected, rtol=1e-5, atol=1e-5)


def test_a_shift_of_the_features_is_the_cheapest_displacement(features):
    moving = jnp.roll(features, (1, -1, 2), (0, 1, 2))
    costs = convex.cost_volume(features, moving, RADIUS)
    cheapest = convex.displacements(RADIUS)[np.argmin(costs, axis=0)]
    # Two means of 3³ reach two nodes, and what is rolled over the border differs at two more.
    assert (cheapest[4:-4, 4:-4, 4:-4] == (1, -1, 2)).all()


def test_a_strong_coupling_removes_a_displacement_that_stands_alone():
    table = convex.displacements(RADIUS)
    at_rest, away = ((table == d).all(axis=1).argmax() for d in ((0, 0, 0), (2, 2, 2)))
    costs = jnp.ones((len(table), 7, 7, 7)).at[at_rest].set(0.0).at[away, 3, 3, 3].set(-0.1)
    # The mean of 3³ voxels with a single (2, 2, 2) is 2 / 27 there.
    assert convex.coupled_convex(costs, RADIUS, ())[0, 3, 3, 3] == np.float32(2 / 27)
    np.testing.assert_array_equal(convex.coupled_convex(costs, RADIUS, (1.0,)), 0)


def test_consistent_fields_undo_each_other():
    rest = jnp.zeros((3, 9, 9, 9))
    forward, backward = rest.at[2].set(1.0), rest.at[2].set(-0.5)
    u, v = convex.make_consistent(forward, backward, 15)
    center = (2, 4, 4, 4)
    # Both halve what keeps them apart, ½ of a node, in each of 15 iterations, but for the border.
    assert abs(u[center] + v[center]) < 0.02
    assert 0.5 < u[center] < 1.0


def test_thrice_smoothed_is_three_means_of_27_nodes():
    field = jnp.asarray(np.random.default_rng(2).normal(size=(3, 6, 5, 9)), jnp.float32)
    expected = convex.smooth(convex.smooth(convex.smooth(field)))
    # float32 sums of numbers near 1, in another order.
    np.testing.assert_allclose(smooth3(field), expected, atol=1e-6)


def test_roughness_of_a_slope_is_its_square():
    field = jnp.zeros((3, 4, 5, 6)).at[1].set(3 * jnp.arange(5.0)[None, :, None])
    # One of three components, along one of three axes.
    assert roughness(field) == pytest.approx(9 / 3)
