import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from lnmet.registration import fields

SHAPE = (7, 9, 8)


@pytest.fixture
def image() -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=SHAPE), jnp.float32)


def smooth_field(seed: int, voxels: float, shape=(14, 16, 18)) -> jax.Array:
    """Largest displacement given; slopes stay near a quarter of it."""
    noise = np.random.default_rng(seed).normal(size=(3, *shape))
    smooth = ndimage.gaussian_filter(noise, (0, 3, 3, 3))
    return jnp.asarray(voxels * smooth / np.abs(smooth).max(), jnp.float32)


def constant(*displacement: float, shape=SHAPE) -> jax.Array:
    return jnp.broadcast_to(jnp.float32(displacement).reshape(3, 1, 1, 1), (3, *shape))


def inner(array: jax.Array, margin: int = 4) -> np.ndarray:
    cut = slice(margin, -margin)
    return np.asarray(array)[..., cut, cut, cut]


def test_a_zero_field_changes_no_value(image):
    zero = jnp.zeros((3, *SHAPE))
    label = (image > 0).astype(jnp.uint8)
    np.testing.assert_array_equal(fields.warp(image, zero), image)
    np.testing.assert_array_equal(fields.warp(image, zero, fill=-1024.0), image)
    np.testing.assert_array_equal(fields.warp_label(label, zero), label)
    np.testing.assert_array_equal(fields.compose(zero, zero), zero)


def test_the_warped_image_at_x_is_the_image_at_x_plus_u(image):
    warped = fields.warp(image, constant(2, -1, 0))
    np.testing.assert_array_equal(warped[:-2, 1:], image[2:, :-1])


def test_between_voxels_it_is_linear_as_scipys_and_clamped_to_the_border(image):
    field = jnp.asarray(np.random.default_rng(1).uniform(-4, 4, (3, *SHAPE)), jnp.float32)
    places = np.indices(SHAPE) + np.asarray(field)
    expected = ndimage.map_coordinates(np.asarray(image), places, order=1, mode="nearest")
    # Sums of eight float32 products of numbers near 1.
    np.testing.assert_allclose(fields.warp(image, field), expected, atol=1e-5)


def test_beyond_the_border_it_fades_into_the_fill(image):
    half_out = fields.warp(image, constant(0, 0, 0.5), fill=-10.0)
    # Halves of float32 numbers near 1 and 10.
    np.testing.assert_allclose(half_out[..., -1], (image[..., -1] - 10) / 2, atol=1e-5)
    np.testing.assert_array_equal(fields.warp(image, constant(0, 20, 0), fill=-10.0), -10)


def test_an_image_of_another_shape_is_sampled_on_the_grid_of_the_field(image):
    field = constant(1, 2, 3, shape=(4, 5, 3))
    np.testing.assert_array_equal(fields.warp(image, field), image[1:5, 2:7, 3:6])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, bool])
def test_labels_take_the_nearest_voxel_and_keep_their_type(dtype):
    label = jnp.asarray(np.random.default_rng(2).integers(0, 3, SHAPE).astype(dtype))
    warped = fields.warp_label(label, constant(0.4, -0.4, 0.6))
    assert warped.dtype == dtype
    np.testing.assert_array_equal(warped[..., :-1], label[..., 1:])
    np.testing.assert_array_equal(warped[..., -1], label[..., -1])


def test_points_go_where_the_field_says():
    points = jnp.float32([[1, 2, 3], [2.5, 4.5, 6.5]])
    moved = fields.transport(points, constant(0.5, -1, 2))
    np.testing.assert_array_equal(moved, points + jnp.float32([[0.5, -1, 2]]))


def test_one_composed_field_warps_as_two_in_turn():
    z, y, x = fields.identity((14, 16, 18))
    ramp = 2 * z - 3 * y + x  # linear, so that interpolating twice loses nothing
    outer, inner_field = smooth_field(0, 1.5), smooth_field(1, 1.5)
    twice = fields.warp(fields.warp(ramp, outer), inner_field)
    once = fields.warp(ramp, fields.compose(outer, inner_field))
    # float32 sums of numbers up to 50.
    np.testing.assert_allclose(inner(once), inner(twice), atol=1e-4)


def test_the_inverse_undoes_the_field_on_both_sides():
    field = smooth_field(3, 1.5)
    back = jax.jit(fields.invert)(field)
    # The iteration has converged to float32; linear interpolation of either field is exact in it.
    assert np.abs(inner(fields.compose(field, back))).max() < 1e-5
    # The other way round each is interpolated in the other's place: second order in their slopes.
    assert np.abs(inner(fields.compose(back, field))).max() < 0.05
    points = jnp.float32([[6, 7, 8], [7.5, 8, 9.25]])
    returned = fields.transport(fields.transport(points, field), back)
    np.testing.assert_allclose(returned, points, atol=0.05)


def test_a_translation_inverts_to_its_negative():
    np.testing.assert_allclose(fields.invert(constant(1, -2, 0.5)), constant(-1, 2, -0.5))


def test_resized_displacements_cover_the_same_part_of_the_image():
    field = constant(1, 2, 3, shape=(4, 5, 6))
    np.testing.assert_allclose(  # weights of thirds are rounded
        fields.resize(field, (8, 15, 6)), constant(2, 6, 3, shape=(8, 15, 6)), rtol=1e-6
    )
    finer = fields.interpolate(fields.identity((4, 5, 6)), (8, 10, 12))
    # Voxel i of the finer grid lies at (i + ½) / 2 − ½ of the coarser one.
    places = np.stack([(axis + 0.5) / 2 - 0.5 for axis in np.indices((8, 10, 12))])
    np.testing.assert_allclose(inner(finer, 1), inner(places, 1), atol=1e-6)
