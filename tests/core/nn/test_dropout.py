"""Dropout against flax's."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn.dropout import Dropout


@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("shape", [(2, 6, 4, 3), (5, 7), (1, 3, 1, 1)])
def test_values_and_gradients_are_those_of_flax(rate, shape):
    x = jax.random.normal(jax.random.key(1), shape)

    def dropped(kind):
        def total(x):
            out = kind(rate, deterministic=False).apply({}, x, rngs={"dropout": jax.random.key(2)})
            return jnp.sum(out**2), out

        return jax.grad(total, has_aux=True)(x)

    for ours, flax in zip(dropped(Dropout), dropped(nn.Dropout), strict=True):
        np.testing.assert_array_equal(ours, flax)


def test_layers_of_one_network_drop_different_values():
    x = jnp.ones((4, 100))
    network = nn.Sequential([Dropout(0.5, deterministic=False) for _ in range(2)])
    out = network.apply({}, x, rngs={"dropout": jax.random.key(0)})
    # Of two independent halves a quarter is left; of one mask drawn twice, a half.
    assert 0.15 < float((out > 0).mean()) < 0.35


def test_without_training_nothing_changes():
    x = jnp.arange(6.0)
    np.testing.assert_array_equal(Dropout(0.4, deterministic=True).apply({}, x), x)
