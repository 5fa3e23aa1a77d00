"""Any number of images: the answers of the network, one compilation, one fetched behind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core import sharding
from core.infer.batches import in_batches, one_behind

pytestmark = pytest.mark.several_devices

RNG = np.random.default_rng(0)
IMAGE = RNG.standard_normal((9, 3, 2)).astype(np.float32)
FACTOR = np.float32(2)
MASK = RNG.integers(0, 2, (9, 3, 2), np.uint8)


@jax.jit
def apply(factor: jax.Array, image: jax.Array, mask: jax.Array) -> jax.Array:
    return jnp.where(mask > 0, factor * image, 0).sum(1)


@pytest.mark.parametrize("num_devices", [1, 2])
def test_answers_are_those_of_the_images_whatever_their_number(num_devices):
    apply.clear_cache()
    mesh = sharding.mesh(jax.devices()[:num_devices])
    predict = in_batches(apply, FACTOR, batch=4, mesh=mesh)
    for num in (9, 8, 4, 3, 0):
        outputs = predict(IMAGE[:num], MASK[:num])
        expected = np.where(MASK[:num] > 0, 2 * IMAGE[:num], np.float32(0)).sum(1)
        assert outputs.dtype == np.float32
        # Sums of three in another order.
        np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-6)
    assert apply._cache_size() == 1


def test_a_batch_that_the_devices_cannot_share_is_refused():
    mesh = sharding.mesh(jax.devices()[:2])
    with pytest.raises(ValueError, match="devices that share it"):
        in_batches(apply, FACTOR, batch=3, mesh=mesh)


@pytest.mark.parametrize("num", [0, 1, 5])
def test_one_behind_keeps_every_item_and_asks_for_the_next_first(num):
    asked = []

    def items():
        for i in range(num):
            asked.append(i)
            yield i

    for i, item in enumerate(one_behind(items())):
        assert item == i
        assert len(asked) == min(i + 2, num)
    assert len(asked) == num
