"""The Dice and Tversky losses against their formulas and MONAI."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.losses.overlap import dice_loss, tversky_loss


def _example(shape=(3, 6, 5, 2), seed=0):
    rng = np.random.default_rng(seed)
    return rng.random(shape, np.float32), (rng.random(shape) < 0.3).astype(np.float32)


def test_is_its_formula_per_example_and_class():
    probs, onehot = _example()
    expected = np.empty((3, 2))
    for n, c in np.ndindex(3, 2):
        p, t = probs[n, ..., c].astype(np.float64), onehot[n, ..., c].astype(np.float64)
        expected[n, c] = 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
    # float32 sums of 30 numbers against float64.
    np.testing.assert_allclose(dice_loss(probs, onehot, smooth=1), expected, rtol=1e-5)


def test_gradient_is_that_of_the_quotient():
    probs, onehot = _example()
    grad = jax.grad(lambda p: dice_loss(p, onehot, smooth=1).sum())(jnp.asarray(probs))
    p, t = probs.astype(np.float64), onehot.astype(np.float64)
    both, total = ((x.sum((1, 2), keepdims=True) + 1) for x in (2 * p * t, p + t))
    # float32 against float64, on numbers near 1/30.
    np.testing.assert_allclose(grad, both / total**2 - 2 * t / total, rtol=1e-4, atol=1e-7)


def test_hard_masks_give_one_minus_the_coefficient():
    pred, true = np.zeros((2, 8, 8, 1), np.float32), np.zeros((2, 8, 8, 1), bool)
    pred[0, :4], true[0, 2:6] = 1, True
    # 32 pixels each, 16 in common; and two empty masks.
    expected = [[1 - (2 * 16 + 1) / (64 + 1)], [0]]
    np.testing.assert_allclose(dice_loss(pred, true, smooth=1), expected, rtol=1e-6)


def test_an_empty_truth_is_learned_with_a_finite_gradient():
    probs = jnp.full((1, 8, 8, 1), 0.5)
    grad = jax.grad(lambda p: dice_loss(p, jnp.zeros(p.shape), smooth=1).sum())(probs)
    np.testing.assert_allclose(grad, 1 / (0.5 * 64 + 1) ** 2, rtol=1e-6)  # one float32 rounding


def test_half_precision_probabilities_are_summed_in_float32():
    probs = jnp.full((1, 512, 512, 1), 0.5, jnp.float16)  # the sum passes float16's 65504
    loss = dice_loss(probs, jnp.ones(probs.shape, bool), smooth=1)
    assert loss.dtype == jnp.float32
    half = 512 * 512 / 2
    np.testing.assert_allclose(loss, 1 - (2 * half + 1) / (3 * half + 1), rtol=1e-6)


def test_refuses_other_shapes_no_class_axis_and_no_smoothing():
    probs, onehot = _example()
    with pytest.raises(ValueError, match=r"expected equal shapes; got probs .* onehot"):
        dice_loss(probs, onehot[..., 0], smooth=1)
    with pytest.raises(ValueError, match="probs must have 2 or 3"):
        dice_loss(probs[:, 0, 0, 0], onehot[:, 0, 0, 0], smooth=1)
    with pytest.raises(ValueError, match="smooth must be positive; got 0"):
        dice_loss(probs, onehot, smooth=0)


@pytest.mark.parity
def test_value_and_gradient_match_monai():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")
    losses = pytest.importorskip("monai.losses", reason="MONAI is not installed")
    logits = np.random.default_rng(1).normal(size=(3, 9, 7, 2)).astype(np.float32)
    onehot = _example(logits.shape)[1]
    peer = torch.tensor(np.moveaxis(logits, -1, 1).copy(), requires_grad=True)
    theirs = losses.DiceLoss(sigmoid=True, smooth_nr=1, smooth_dr=1, reduction="none")
    expected = theirs(peer, torch.tensor(np.moveaxis(onehot, -1, 1).copy()))
    expected.sum().backward()

    def ours(z):
        return dice_loss(jax.nn.sigmoid(z), onehot, smooth=1)

    # Two float32 implementations that sum in different orders.
    np.testing.assert_allclose(ours(logits), expected.detach()[..., 0, 0], rtol=1e-5)
    grad = jax.grad(lambda z: ours(z).sum())(jnp.asarray(logits))
    np.testing.assert_allclose(np.moveaxis(grad, -1, 1), peer.grad.numpy(), atol=1e-7)


def test_tversky_is_its_formula():
    probs, onehot = _example()
    p, t = probs.astype(np.float64), onehot.astype(np.float64)
    both, extra, missed = ((x).sum((1, 2)) for x in (p * t, p * (1 - t), (1 - p) * t))
    expected = 1 - (2 * both + 1e-5) / (2 * both + 0.5 * extra + 1.5 * missed + 1e-5)
    loss = tversky_loss(probs, onehot, alpha=0.5, beta=1.5, smooth=1e-5)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_tversky_with_equal_weights_is_the_dice_loss():
    probs, onehot = _example()
    loss = tversky_loss(probs, onehot, alpha=1, beta=1, smooth=1)
    np.testing.assert_allclose(loss, dice_loss(probs, onehot, smooth=1), rtol=1e-6)


@pytest.mark.parametrize("name", ["alpha", "beta", "smooth"])
def test_tversky_refuses_weights_that_are_not_positive(name):
    weights = {"alpha": 0.5, "beta": 1.5, "smooth": 1.0, name: 0.0}
    with pytest.raises(ValueError, match=f"{name} must be positive"):
        tversky_loss(*_example(), **weights)
