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


def test_max_pool_gradient_is_shared_by_equal_voxels():
    grad = jax.grad(lambda x: max_pool(x).sum())(jnp.zeros((1, 2, 2, 2, 1)))
    np.testing.assert_array_equal(grad, np.full((1, 2, 2, 2, 1), 1 / 8))


def test_max_pool_refuses_sizes_that_do_not_divide():
    with pytest.raises(ValueError, match="must be divisible by 2"):
        max_pool(jnp.zeros((1, 3, 4, 4, 1)))
