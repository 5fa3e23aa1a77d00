"""What every loss promises, whatever it computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from core.losses.entropy import cross_entropy
from core.losses.overlap import dice_loss, tversky_loss

SHAPE, NUM_CLASSES = (8, 4, 4, 4), 3


def _dice(logits, label):
    onehot = jax.nn.one_hot(label, NUM_CLASSES)
    return dice_loss(jax.nn.softmax(logits.astype(jnp.float32)), onehot, smooth=1)


def _tversky(logits, label):
    onehot = jax.nn.one_hot(label, NUM_CLASSES)
    probs = jax.nn.softmax(logits.astype(jnp.float32))
    return tversky_loss(probs, onehot, alpha=0.5, beta=1.5, smooth=1e-5)


LOSSES = {"cross_entropy": cross_entropy, "dice": _dice, "tversky": _tversky}


def _labels():
    one_voxel = np.zeros(SHAPE, np.uint8)
    one_voxel[:, 1, 2, 3] = 2
    mixed = np.random.default_rng(1).integers(0, NUM_CLASSES, SHAPE).astype(np.uint8)
    empty, full = np.zeros(SHAPE, np.uint8), np.full(SHAPE, 2, np.uint8)
    return {"empty": empty, "full": full, "one_voxel": one_voxel, "mixed": mixed}


@pytest.fixture
def logits():
    # Spread wide enough that some probabilities round to 0 and 1.
    values = 40 * np.random.default_rng(0).normal(size=(*SHAPE, NUM_CLASSES))
    return jnp.asarray(values, jnp.float32)


@pytest.fixture(params=LOSSES.values(), ids=LOSSES.keys())
def loss(request):
    return request.param


@pytest.fixture(params=_labels().values(), ids=_labels().keys())
def label(request):
    return jnp.asarray(request.param)


def test_value_per_example_and_gradient_are_finite(loss, logits, label):
    value, grad = jax.value_and_grad(lambda z: loss(z, label).sum())(logits)
    assert loss(logits, label).shape[0] == SHAPE[0]
    assert loss(logits, label).dtype == jnp.float32
    assert np.isfinite(value)
    assert np.isfinite(grad).all()


def test_jit_equals_eager(loss, logits, label):
    # Fused float32 sums round differently.
    np.testing.assert_allclose(jax.jit(loss)(logits, label), loss(logits, label), rtol=1e-6)


def test_batch_of_n_equals_n_batches_of_one(loss, logits, label):
    singles = [loss(logits[i : i + 1], label[i : i + 1]) for i in range(SHAPE[0])]
    np.testing.assert_allclose(loss(logits, label), jnp.concatenate(singles), rtol=1e-6)


@pytest.mark.usefixtures("all_devices")
def test_eight_devices_equal_one(loss, logits, label):
    mesh = Mesh(np.array(jax.devices()), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    spread = jax.jit(loss)(jax.device_put(logits, split), jax.device_put(label, split))
    np.testing.assert_allclose(spread, loss(logits, label), rtol=1e-6)


def test_same_shapes_compile_once(loss, logits):
    compiled = jax.jit(lambda z, y: loss(z, y))  # its own cache
    for label in _labels().values():
        compiled(logits, label)
    assert compiled._cache_size() == 1
