import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from core.nn.pool import max_pool


@pytest.mark.parametrize(("shape", "window"), [((2, 4, 6, 8, 3), 2), ((1, 6, 3, 2), 3)])
def test_max_pool_equals_a_reduce_window_in_value_and_gradient(shape, window):
    image = jax.random.normal(jax.random.key(0), shape)
    sizes = (1, *(window,) * (len(shape) - 2), 1)

    def reference(image):
        return lax.reduce_window(image, -jnp.inf, lax.max, sizes, sizes, "VALID")

    value, pull_back = jax.vjp(lambda x: max_pool(x, window=window), image)
    expected, pull_back_expected = jax.vjp(reference, image)
    np.testing.assert_array_equal(value, expected)
    grad = jax.random.normal(jax.random.key(1), expected.shape)
    np.testing.assert_array_equal(pull_back(grad)[0], pull_back_expected(grad)[0])


@pytest.mark.parametrize(
    ("shape", "window", "stride", "padding"),
    [
        ((2, 8, 6, 3), 3, 2, 1),
        ((1, 7, 5, 2), 3, 2, 1),
        ((1, 1, 2, 2), 3, 2, 1),
        ((1, 6, 7, 5, 2), 3, 1, 1),
        ((2, 5, 8, 7, 2), 3, 2, 1),
        ((1, 7, 8, 2), 2, 3, 0),
    ],
)
def test_overlapping_max_pool_equals_a_reduce_window(shape, window, stride, padding):
    image = jax.random.normal(jax.random.key(0), shape) - 3  # padding with zeros would win
    axes = len(shape) - 2
    sizes, strides = (1, *(window,) * axes, 1), (1, *(stride,) * axes, 1)
    pads = ((0, 0), *((padding, padding),) * axes, (0, 0))

    def reference(image):
        return lax.reduce_window(image, -jnp.inf, lax.max, sizes, strides, pads)

    def ours(image):
        return max_pool(image, window=window, stride=stride, padding=padding)

    value, pull_back = jax.vjp(ours, image)
    expected, pull_back_expected = jax.vjp(reference, image)
    np.testing.assert_array_equal(value, expected)
    grad = jax.random.normal(jax.random.key(1), expected.shape)
    np.testing.assert_allclose(pull_back(grad)[0], pull_back_expected(grad)[0], rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"window": 3, "stride": 2, "padding": 1}])
def test_forward_mode_agrees_with_reverse_mode(options):
    image, tangent = (jax.random.normal(jax.random.key(i), (1, 4, 6, 2)) for i in range(2))
    value, pushed = jax.jvp(lambda x: max_pool(x, **options), (image,), (tangent,))
    grad = jax.random.normal(jax.random.key(2), value.shape)
    pulled = jax.vjp(lambda x: max_pool(x, **options), image)[1](grad)[0]
    # Both are sums of the same products.
    np.testing.assert_allclose((pushed * grad).sum(), (tangent * pulled).sum(), rtol=1e-5)


@pytest.mark.parametrize("axes", [2, 3])
def test_of_equal_voxels_the_first_gets_the_gradient(axes):
    grad = jax.grad(lambda x: max_pool(x).sum())(jnp.zeros((1, *(2,) * axes, 1)))
    assert np.flatnonzero(grad).tolist() == [0]
    assert grad.sum() == 1


@pytest.mark.parametrize("options", [{}, {"window": 3, "stride": 2, "padding": 1}])
def test_the_gradient_does_not_depend_on_how_often_the_image_is_computed(options):
    # At LLVM's level 0 XLA computes this image twice, with other roundings.
    image, scale = (
        jax.random.normal(jax.random.key(0), (2, 8, 8, 8, 4)),
        jnp.full((1, 1, 1, 1, 4), 1.1),
    )

    def loss(image):
        mean, std = (f(image, axis=(0, 1, 2, 3), keepdims=True) for f in (jnp.mean, jnp.std))
        activations = jax.nn.relu((image - mean) * scale / std + 0.3)
        return jnp.square(max_pool(activations, **options)).sum() + jnp.square(activations).sum()

    expected = jax.grad(loss)(image)
    for level in (0, 1, 3):
        effort = {"xla_backend_optimization_level": level}
        grad = jax.jit(jax.grad(loss), compiler_options=effort)(image)
        np.testing.assert_allclose(grad, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("options", [{}, {"window": 3, "stride": 2, "padding": 1}])
def test_nan_is_the_largest(options):
    image = jnp.zeros((1, 4, 4, 1)).at[0, 0, 0, 0].set(jnp.nan)
    pooled = max_pool(image, **options)
    assert np.flatnonzero(np.isnan(pooled)).tolist() == [0]


def test_max_pool_refuses_sizes_that_do_not_divide():
    with pytest.raises(ValueError, match="must be divisible by 2"):
        max_pool(jnp.zeros((1, 3, 4, 4, 1)))
