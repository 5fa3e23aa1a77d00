from collections.abc import Iterator

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from core import sharding
from core.nn.conv import conv
from core.nn.strided import every
from tests.core.nn.test_conv import RELATIVE, normal
from tests.devices import compiled_anew

pytestmark = pytest.mark.several_devices


@pytest.fixture(autouse=True)
def _compiled_anew() -> Iterator[None]:
    with compiled_anew():
        yield


def cut(array, parts):
    """Axis 1 over so many devices."""
    mesh = sharding.mesh(jax.devices()[:parts], space=parts)
    return jax.device_put(array, NamedSharding(mesh, PartitionSpec("data", "space")))


@pytest.mark.parametrize("parts", [2, 4, 8])
@pytest.mark.parametrize("step", [1, 2, 3, 4])
@pytest.mark.parametrize(("start", "stop"), [(0, None), (1, 2), (5, 7), (0, 3), (7, 8), (1, 8)])
def test_slices_of_an_axis_that_devices_share_are_those_of_numpy(parts, step, start, stop):
    array = np.arange(16.0, dtype=np.float32).reshape(2, 8)
    ours = jax.jit(lambda x: every(x, step, axis=1, start=start, stop=stop))(cut(array, parts))
    np.testing.assert_array_equal(ours, array[:, start:stop:step])


@pytest.mark.parametrize(
    ("image", "kernel", "stride"),
    [
        ((1, 4, 3, 3, 2), (3, 3, 3, 2, 2), 1),  # one slice of a tile on each device
        ((1, 8, 4, 2, 2), (3, 3, 3, 2, 3), (1, 2, 2)),
        ((1, 4, 4, 2, 2), (3, 3, 3, 2, 3), 2),
        ((1, 4, 3, 3, 1), (3, 3, 3, 1, 2), 1),
        ((1, 4, 3, 64), (3, 3, 64, 64), 1),
        ((1, 4, 3, 3), (3, 3, 3, 2), 2),
    ],
)
def test_convolutions_of_an_image_that_devices_share_are_those_of_one(image, kernel, stride):
    x, k, padding = normal(0, image), normal(1, kernel), 1

    def value_and_gradients(x, k):
        value, pull_back = jax.vjp(lambda *a: conv(*a, stride=stride, padding=padding), x, k)
        return value, *pull_back(normal(2, value.shape))

    program = jax.jit(value_and_gradients)
    for ours, theirs in zip(program(cut(x, 4), k), program(x, k), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=RELATIVE * np.abs(theirs).max())
