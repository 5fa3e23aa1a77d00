"""ReLU: JAX's values and derivatives, and nothing of a residual network computed twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn.relu import relu

X = jnp.array([-jnp.inf, -2.0, -0.0, 0.0, 1e-30, 3.0, jnp.inf, jnp.nan])


def test_values_and_derivatives_are_those_of_jax():
    np.testing.assert_array_equal(relu(X), jax.nn.relu(X))
    ours, theirs = (jax.vmap(jax.grad(f))(X) for f in (relu, jax.nn.relu))
    np.testing.assert_array_equal(ours, theirs)
    second = jax.vmap(jax.grad(jax.grad(lambda x: relu(x) ** 2)))(X[1:6])
    np.testing.assert_array_equal(second, [0, 0, 0, 2, 2])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_dtype_stays(dtype):
    x = X.astype(dtype)
    value, tangent = jax.jvp(relu, (x,), (x,))
    assert value.dtype == tangent.dtype == dtype


def additions(activation, num_blocks):
    """Of the residual blocks of a network, as compiled."""

    def network(x, kernels):
        for kernel in kernels:
            x = activation(x @ kernel + x)
        return x

    x, kernels = jnp.ones((64, 32)), [jnp.full((32, 32), float(n)) for n in range(num_blocks)]
    program = jax.jit(network).lower(x, kernels).compile().as_text()
    return program.count(" add(")


def test_every_block_adds_once():
    """XLA adds up all blocks before one in each, where it takes the activation for free."""
    assert additions(relu, 6) == 6
    assert additions(jax.nn.relu, 6) > 6
