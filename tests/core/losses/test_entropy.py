"""Cross-entropy against its formula and its peers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import log_loss

from core.losses.entropy import cross_entropy


def _example(shape=(2, 3, 4, 5), num_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(*shape, num_classes)).astype(np.float32)
    return logits, rng.integers(0, num_classes, shape).astype(np.uint8)


def test_equal_logits_cost_the_log_of_the_number_of_classes():
    loss = cross_entropy(jnp.zeros((2, 4, 4, 4, 3)), jnp.ones((2, 4, 4, 4), jnp.uint8))
    # float32 rounding of log 3 and of the mean.
    np.testing.assert_allclose(loss, np.log(3), rtol=1e-6)


def test_is_the_mean_log_loss_of_scikit_learn():
    logits, label = _example()
    probs = np.asarray(jax.nn.softmax(logits.astype(np.float64)))
    expected = [
        log_loss(y.ravel(), p.reshape(-1, 3), labels=[0, 1, 2])
        for y, p in zip(label, probs, strict=True)
    ]
    # float32 against float64.
    np.testing.assert_allclose(cross_entropy(logits, label), expected, rtol=1e-5)


def test_gradient_is_softmax_minus_onehot_over_the_number_of_voxels():
    logits, label = _example()
    grad = jax.grad(lambda z: cross_entropy(z, label).sum())(jnp.asarray(logits))
    expected = (jax.nn.softmax(logits) - np.eye(3)[label]) / label[0].size
    # One float32 rounding of a term of size 1, divided by the number of voxels.
    np.testing.assert_allclose(grad, expected, atol=1e-6 / label[0].size)


def test_class_weights_multiply_the_loss_of_their_voxels():
    logits, label = _example()
    per_voxel = -np.log(
        np.take_along_axis(np.asarray(jax.nn.softmax(logits)), label[..., None], -1)
    )
    expected = (np.array([1.0, 2.0, 5.0])[label] * per_voxel[..., 0]).mean(axis=(1, 2, 3))
    loss = cross_entropy(logits, label, class_weights=(1.0, 2.0, 5.0))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)  # log-sum-exp against log of softmax


def test_refuses_as_many_weights_as_there_are_not_classes():
    with pytest.raises(ValueError, match="expected 3 class_weights"):
        cross_entropy(*_example(), class_weights=(1.0, 2.0))


def test_gradient_is_right_where_logits_tie():
    label = jnp.zeros((1, 1), jnp.uint8)
    grad = jax.grad(lambda z: cross_entropy(z, label).sum())(jnp.zeros((1, 1, 4)))
    np.testing.assert_allclose(grad[0, 0], np.array([1 / 4 - 1, 1 / 4, 1 / 4, 1 / 4]), rtol=1e-6)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
def test_huge_logits_stay_finite(size):
    logits = jnp.array([[[size, -size, 0.0]]])
    loss, grad = jax.value_and_grad(lambda z: cross_entropy(z, jnp.array([[1]])).sum())(logits)
    assert loss == np.float32(2 * size)
    np.testing.assert_array_equal(grad[0, 0], [1, -1, 0])


def test_does_not_change_when_all_logits_move_together():
    logits, label = _example()
    # Adding 8 to a float32 near 1 rounds it to 2^-21.
    np.testing.assert_allclose(
        cross_entropy(logits + 8, label), cross_entropy(logits, label), atol=2**-20
    )


def test_half_precision_logits_are_summed_in_float32():
    logits = jnp.zeros((1, 64, 64, 64, 2), jnp.float16)
    loss = cross_entropy(logits, jnp.zeros((1, 64, 64, 64), jnp.uint8))
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-5)  # 64³ roundings, pairwise sums


def test_cases_without_space_are_classified():
    logits, label = _example(shape=(5,), num_classes=2)
    expected = -np.log(np.asarray(jax.nn.softmax(logits)))[np.arange(5), label]
    np.testing.assert_allclose(cross_entropy(logits, label), expected, rtol=1e-5)


def test_refuses_a_label_of_another_shape():
    with pytest.raises(
        ValueError, match=r"label must have the shape .*\(1, 4, 4, 4\).*\(1, 4, 4\)"
    ):
        cross_entropy(jnp.zeros((1, 4, 4, 4, 3)), jnp.zeros((1, 4, 4), int))


def test_refuses_a_label_without_a_batch_axis():
    with pytest.raises(ValueError, match="label must have 1 or 2"):
        cross_entropy(jnp.zeros((3,)), jnp.zeros((), int))


@pytest.mark.parity
def test_value_and_gradient_match_pytorch():
    torch = pytest.importorskip("torch")
    logits, label = _example(shape=(2, 6, 5, 4))
    peer = torch.tensor(np.moveaxis(logits, -1, 1).copy(), requires_grad=True)
    target = torch.tensor(label.astype(np.int64))
    expected = torch.nn.functional.cross_entropy(peer, target)
    expected.backward()
    loss, grad = jax.value_and_grad(lambda z: cross_entropy(z, label).mean())(jnp.asarray(logits))
    # Two float32 implementations that sum in different orders.
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-5)
    np.testing.assert_allclose(np.moveaxis(grad, -1, 1), peer.grad.numpy(), atol=1e-8)
