import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn import functional
from core.nn.blocks import Conv
from core.nn.dropout import Dropout
from core.nn.norm import BatchNorm

SHAPE = (4, 6, 6, 1)


class Net(nn.Module):
    rate: float = 0.0

    @nn.compact
    def __call__(self, image, *, train):
        x = BatchNorm(name="norm")(Conv(3, (1, 1), padding=0, name="conv")(image), train=train)
        return Dropout(self.rate, deterministic=not train)(x)


@pytest.fixture(scope="module")
def image():
    return jnp.asarray(np.random.default_rng(0).normal(2.0, 1.0, SHAPE), jnp.float32)


@pytest.fixture(scope="module")
def variables():
    return functional.init(Net(), jax.random.key(0), SHAPE)


def split(variables):
    return variables["params"], {"batch_stats": variables["batch_stats"]}


def test_a_network_is_drawn_with_fresh_statistics(variables):
    assert variables["params"]["conv"]["kernel"].shape == (1, 1, 1, 3)
    np.testing.assert_array_equal(variables["batch_stats"]["norm"]["mean"], np.zeros(3))
    np.testing.assert_array_equal(variables["batch_stats"]["norm"]["var"], np.ones(3))
    again, other = (functional.init(Net(), jax.random.key(seed), SHAPE) for seed in (0, 1))
    kernels = [v["params"]["conv"]["kernel"] for v in (variables, again, other)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert (kernels[0] != kernels[2]).any()


def test_evaluation_uses_running_statistics_and_leaves_them(variables, image):
    params, state = split(variables)
    outputs, after = functional.apply(Net(), params, state, image)
    assert after is state
    alone, _ = functional.apply(Net(), params, state, image[:1])
    np.testing.assert_allclose(outputs[:1], alone, rtol=1e-6)


def test_training_uses_statistics_of_the_batch_and_moves_the_running_ones(variables, image):
    params, state = split(variables)
    outputs, after = functional.apply(Net(), params, state, image, train=True)
    # Normalized over the batch: zero mean, up to float32 rounding.
    np.testing.assert_allclose(np.asarray(outputs).mean((0, 1, 2)), 0, atol=1e-5)
    assert (after["batch_stats"]["norm"]["mean"] != state["batch_stats"]["norm"]["mean"]).all()


def test_what_is_dropped_depends_on_the_key(variables, image):
    params, state = split(variables)

    def dropped(seed):
        rngs = {"dropout": jax.random.key(seed)}
        return functional.apply(Net(0.5), params, state, image, train=True, rngs=rngs)[0]

    np.testing.assert_array_equal(dropped(0), dropped(0))
    assert (dropped(0) != dropped(1)).any()
