import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from lnmet.registration.deeds_fields import consistent, upsampled
from lnmet.registration.fields import warp

RNG = np.random.default_rng(0)


def test_the_warp_between_levels_equals_scipy_also_beyond_the_border():
    volume = RNG.normal(size=(5, 6, 7)).astype(np.float32)
    field = RNG.uniform(-4, 4, (3, 5, 6, 7)).astype(np.float32)
    places = np.indices(volume.shape) + field
    expected = ndimage.map_coordinates(volume, places, order=1, mode="nearest")
    # Places of float32 up to 10: 1e-6 of a voxel.
    np.testing.assert_allclose(warp(jnp.asarray(volume), jnp.asarray(field)), expected, atol=1e-5)


def test_upsampling_scales_places_by_the_sizes_and_clamps():
    ramp = jnp.broadcast_to(jnp.arange(3.0)[None, :, None, None], (3, 3, 2, 2))
    fine = upsampled(ramp, (7, 2, 5))
    assert fine.shape == (3, 7, 2, 5)
    expected = np.minimum(np.arange(7) * 3 / 7, 2)
    np.testing.assert_allclose(fine[1, :, 1, 3], expected, rtol=1e-6)
    np.testing.assert_array_equal(upsampled(fine, fine.shape[1:]), fine)


def test_two_ways_that_disagree_meet_in_the_middle():
    fields = jnp.zeros((2, 3, 6, 6, 6)).at[0, 1].set(1.5).at[1, 1].set(-0.5)
    u, v = np.asarray(consistent(fields))
    np.testing.assert_allclose(u[1], 1.0, atol=1e-6)
    np.testing.assert_allclose(v[1], -1.0, atol=1e-6)
    assert not u[[0, 2]].any()
    assert not v[[0, 2]].any()


def test_ways_that_undo_each_other_stay_as_they_are():
    fields = jnp.zeros((2, 3, 6, 6, 6)).at[0].set(2.0).at[1].set(-2.0)
    np.testing.assert_array_equal(consistent(fields), fields)
