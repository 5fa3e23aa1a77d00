"""Convolutions in groups on eight devices: each computes its own examples, and nobody gathers."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from core import sharding
from core.nn.conv import conv
from tests.devices import compiled_anew

pytestmark = pytest.mark.several_devices

RNG = np.random.default_rng(0)
GROUPS, CHANNELS = 4, 16


@pytest.fixture(autouse=True)
def _compiled_anew() -> Iterator[None]:
    with compiled_anew():
        yield


def loss(kernels, image, size):
    """Two layers: the devices are known behind the first one too."""
    for kernel in kernels:
        image = jax.nn.relu(conv(image, kernel, padding=size // 2, groups=GROUPS))
    return jnp.square(image).mean()


def arrays(size: int, num: int):
    shape = (size, size, CHANNELS // GROUPS, CHANNELS)
    kernels = [RNG.standard_normal(shape).astype(np.float32) for _ in range(2)]
    return kernels, RNG.standard_normal((num, 8, 8, CHANNELS)).astype(np.float32)


def on_eight(kernels, image, size):
    """Value and gradients of arrays on eight devices, and what was compiled."""
    mesh = sharding.mesh()
    assert mesh.size == 8
    whole = jax.device_put(kernels, NamedSharding(mesh, PartitionSpec()))
    spec = PartitionSpec("data") if len(image) % 8 == 0 else PartitionSpec()
    cut = jax.device_put(image, NamedSharding(mesh, spec))
    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)), static_argnums=2)
    compiled = step.lower(whole, cut, size).compile()
    return compiled(whole, cut), compiled.as_text()


# 3² has a form of its own on CPU, 5² is XLA's. A batch of 4 is not shared by eight devices.
@pytest.mark.parametrize(("size", "num"), [(3, 16), (5, 16), (5, 4)])
def test_eight_devices_compute_what_one_does(size, num):
    kernels, image = arrays(size, num)
    expected = jax.value_and_grad(loss, argnums=(0, 1))(kernels, image, size)
    found, _ = on_eight(kernels, image, size)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        # Sums over the batch are taken in another order.
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [3, 5])
def test_no_device_gathers_the_batch(size):
    _, program = on_eight(*arrays(size, 16), size)
    assert "all-gather" not in program
    assert "all-reduce" in program  # of the kernels' gradients


def test_accelerators_are_told_so_too():
    kernels, image = arrays(3, 16)
    mesh = sharding.mesh()
    shared = jax.device_put(image, NamedSharding(mesh, PartitionSpec("data")))
    traced = jax.jit(loss, static_argnums=2).trace(kernels, shared, 3)
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert "sdy.manual_computation" in text
