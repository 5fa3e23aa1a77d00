"""The loss of the paper, written out by hand for small networks."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.random import stream
from fee import model
from fee.config import AugmentConfig, ModelConfig
from fee.loss import augment, fuse, loss, normalize, sum_of_squares
from fee.recipes import RECIPES

SIZE = 32
STILL = AugmentConfig(probability=0.0)
MODELS = {"resnet": ModelConfig("resnet", 2, (1, 1, 1, 1)), "unet": ModelConfig("unet", 2)}


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    mask = np.zeros((2, SIZE, SIZE), np.uint8)
    mask[0, 8:20, 4:24], mask[0, 10:12, 6:9] = 1, 2
    image = rng.integers(0, 256, (2, SIZE, SIZE), np.uint8)
    batch = {"image": image, "mask": mask, "label": np.array([1, 0], np.uint8)}
    return jax.tree.map(jnp.asarray, batch)


@pytest.fixture(params=["locate", "segment", "diagnose"], scope="module")
def case(request):
    """Config, parameters and state of a small network."""
    network = "unet" if request.param == "segment" else "resnet"
    cfg = replace(RECIPES[request.param], model=MODELS[network], augment=STILL)
    shapes = jax.eval_shape(
        lambda key: model.init(cfg.model, key, (2, SIZE, SIZE, 1)), jax.random.key(0)
    )
    rng = np.random.default_rng(1)  # drawing them on the device compiles for seconds
    variables = jax.tree.map(
        lambda a: jnp.asarray(np.abs(0.2 * rng.standard_normal(a.shape)), a.dtype), shapes
    )
    return cfg, variables["params"], {"batch_stats": variables["batch_stats"]}


def test_is_the_mean_cross_entropy_and_the_penalty_of_kernels(case, batch):
    cfg, params, state = case
    image = batch["image"] * (batch["mask"] > 0) if cfg.task == "diagnose" else batch["image"]
    truth = np.asarray(batch["mask"] > 0 if cfg.task == "segment" else batch["label"], int)
    if cfg.task == "locate":
        batch = {"image": batch["image"], "label": batch["label"]}

    # Two passes: without LLVM's optimization their sums round apart by more than is allowed below.
    @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})
    def run(key):
        normalized = normalize(image)
        logits, after = model.apply(
            cfg.model, params, state, normalized, train=True, key=stream(key, "dropout")
        )
        return loss(cfg, params, state, batch, key), logits, after

    (total, (new_state, metrics)), logits, after = run(jax.random.key(1))
    logits = np.asarray(logits, np.float64)
    entropy = (
        np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, truth[..., None], -1)[..., 0]
    )
    leaves = jax.tree_util.tree_leaves_with_path(params)
    kernels = [x for path, x in leaves if "kernel" in jax.tree_util.keystr(path)]
    squares = float(sum((x**2).sum() for x in kernels))
    # Float32 rounding of a mean over pixels.
    assert metrics["entropy"] == pytest.approx(entropy.mean(), rel=1e-5)
    assert total == pytest.approx(entropy.mean() + cfg.loss.l2 * squares, rel=1e-5)
    assert metrics["loss"] == total
    assert metrics["accuracy"] == pytest.approx((logits.argmax(-1) == truth).mean())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), new_state, after)


def test_biases_and_norms_are_not_penalized():
    params = {
        "conv": {"kernel": np.full((1, 1, 2, 3), 2.0), "bias": np.ones(3)},
        "norm": {"scale": np.ones(3), "bias": np.ones(3)},
        "fc": {"kernel": np.full((3, 2), 1.0), "bias": np.ones(2)},
    }
    assert sum_of_squares(params) == 6 * 2**2 + 6


def test_every_slice_has_mean_0_and_deviation_1(batch):
    normalized = np.asarray(normalize(batch["image"]), np.float64)
    assert normalized.shape == (2, SIZE, SIZE, 1)
    np.testing.assert_allclose(normalized.mean((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(normalized.std((1, 2)), 1, atol=1e-5)


def test_a_slice_of_one_value_becomes_zero():
    np.testing.assert_array_equal(
        normalize(jnp.full((1, 4, 4), 77, jnp.uint8)), np.zeros((1, 4, 4, 1))
    )


def test_fusion_keeps_the_texture_of_pancreas_and_tumor_on_black(batch):
    fused = np.asarray(fuse(batch["image"], batch["mask"]))
    assert fused.dtype == np.uint8
    np.testing.assert_array_equal(fused, np.where(batch["mask"] > 0, batch["image"], 0))
    assert not fused[1].any()


def test_image_and_mask_move_together():
    ramp = np.broadcast_to(np.arange(0, 256, 256 / SIZE), (6, SIZE, SIZE)).astype(np.float32)
    cfg = AugmentConfig(brightness=0.0, contrast=0.0, probability=1.0)
    image, mask = jax.jit(
        lambda k: augment(cfg, k, jnp.asarray(ramp), jnp.asarray(ramp > 128, jnp.uint8))
    )(jax.random.key(0))
    assert (np.abs(image - ramp) > 1).any()
    # A pixel is 8 gray values wide: an interpolated value and the nearest id part by half of one.
    far = np.abs(np.asarray(image) - 132) > 8
    np.testing.assert_array_equal(np.asarray(mask)[far], np.asarray(image > 132)[far])


def test_slices_of_a_batch_change_each_in_its_own_way():
    same = np.broadcast_to(np.random.default_rng(0).integers(0, 256, (SIZE, SIZE)), (8, SIZE, SIZE))
    same = jnp.asarray(same, jnp.uint8)
    image, _ = augment(AugmentConfig(), jax.random.key(0), same, same)
    assert image.min() >= 0
    assert image.max() <= 255
    # Two of 28 pairs are equal only where nothing was drawn for both.
    assert len({np.asarray(picture).tobytes() for picture in image}) > 4
