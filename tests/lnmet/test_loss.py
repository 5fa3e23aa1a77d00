"""Cross-entropy and Tversky loss over resolutions, partial annotations and ignored voxels."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.augment.config import VolumeAugmentConfig
from lnmet import model
from lnmet.config import Config, DataConfig, LossConfig, ModelConfig
from lnmet.labels import IGNORE
from lnmet.loss import at_resolution, loss, resolution_weights, terms_of, with_background
from tests.lnmet.test_model import CHANNELS, SMALL

SHAPE = (4, 8, 8)
PLAIN = VolumeAugmentConfig(scheme="none")
CFG = Config(data=DataConfig(patch=SHAPE, batch=2), model=SMALL, augment=PLAIN)


def expected_terms(cfg, logits, label):
    """Equations 3 and 4 voxel by voxel for two classes, mean over the examples."""
    p1 = 1 / (1 + np.exp(-(logits[..., 1] - logits[..., 0]).astype(np.float64)))
    entropies, overlaps = [], []
    for p, y in zip(p1, label, strict=True):
        entropies.append(-np.mean(np.where(y == 1, np.log(p), np.log(1 - p))))
        both, fp, fn = (p * y).sum(), (p * (1 - y)).sum(), ((1 - p) * y).sum()
        s = cfg.smooth
        weighted = cfg.false_positives * fp + cfg.false_negatives * fn
        overlaps.append(1 - (2 * both + s) / (2 * both + weighted + s))
    return np.mean(entropies), np.mean(overlaps)


@pytest.fixture(scope="module")
def example():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, *SHAPE, 2)).astype(np.float32)
    return logits, rng.integers(0, 2, (2, *SHAPE)).astype(np.uint8)


def test_terms_are_those_of_the_equations(example):
    logits, label = example
    cfg = LossConfig()
    terms = terms_of(cfg, jnp.asarray(logits), jnp.asarray(label), jnp.ones((2, 2), bool))
    # Sums of 256 float32 terms.
    np.testing.assert_allclose(terms, expected_terms(cfg, logits, label), rtol=1e-5)


def test_ignored_voxels_count_nowhere(example):
    logits, label = example
    ignored = label.copy()
    ignored[:, 2:] = IGNORE
    cfg = LossConfig()
    terms = terms_of(cfg, jnp.asarray(logits), jnp.asarray(ignored), jnp.ones((2, 2), bool))
    expected = expected_terms(cfg, logits[:, :2], label[:, :2])
    np.testing.assert_allclose(terms, expected, rtol=1e-5)


def test_an_unannotated_class_is_background():
    logits = jax.random.normal(jax.random.key(0), (1, 2, 3, 4, 4))
    annotated = jnp.array([[True, False, True, False]])
    scores = [logits[..., k] for k in range(4)]
    merged = jax.nn.softmax(jnp.stack(with_background(scores, annotated), -1))
    p = jax.nn.softmax(logits)
    expected = jnp.stack(
        [p[..., 0] + p[..., 1] + p[..., 3], 0 * p[..., 1], p[..., 2], 0 * p[..., 3]], -1
    )
    np.testing.assert_allclose(merged, expected, atol=1e-6)


def test_an_unannotated_class_has_no_overlap_loss():
    logits = jax.random.normal(jax.random.key(0), (1, 2, 3, 4, 4))
    label = jnp.asarray(np.random.default_rng(0).choice([0, 2], (1, 2, 3, 4)), jnp.uint8)
    annotated = jnp.array([[True, False, True, False]])
    cfg = LossConfig()
    merged = with_background([logits[..., k] for k in range(4)], annotated)
    two = jnp.stack([merged[0], merged[2]], -1)
    expected = terms_of(cfg, two, (label == 2).astype(jnp.uint8), jnp.ones((1, 2), bool))
    np.testing.assert_allclose(terms_of(cfg, logits, label, annotated), expected, rtol=1e-5)


def test_logits_far_apart_give_a_finite_loss_and_gradient():
    far = jnp.asarray([[-200.0, 200.0, 0.0]]).reshape(1, 1, 1, 1, 3)
    label, annotated = jnp.zeros((1, 1, 1, 1), jnp.uint8), jnp.ones((1, 3), bool)
    value, gradient = jax.value_and_grad(
        lambda logits: terms_of(LossConfig(), logits, label, annotated)[0]
    )(far)
    # The label's logit is 400 below the largest, and the loss says so.
    np.testing.assert_allclose(value, 400, rtol=1e-6)
    np.testing.assert_allclose(gradient.ravel(), [-1, 1, 0], atol=1e-6)


@pytest.mark.parametrize("num", [1, 2, 5])
def test_resolutions_weigh_half_as_much_each_and_the_lowest_nothing(num):
    weights = resolution_weights(num)
    assert sum(weights) == pytest.approx(1)
    if num == 5:
        np.testing.assert_allclose(weights, [8 / 15, 4 / 15, 2 / 15, 1 / 15, 0])


def test_labels_of_an_output_are_those_in_the_middle_of_its_blocks():
    label = jnp.arange(4 * 8 * 6).reshape(1, 4, 8, 6)
    small = at_resolution(label, jnp.zeros((1, 4, 4, 3, 2)))
    np.testing.assert_array_equal(small, label[:, :, 1::2, 1::2])


def batch():
    rng = np.random.default_rng(0)
    arrays = {
        "image": rng.integers(-100, 300, (2, *SHAPE, 2)).astype(np.int16),
        "label": rng.integers(0, 2, (2, *SHAPE)).astype(np.uint8),
        "attention": np.ones((2, *SHAPE), np.float16),
        "annotated": np.ones((2, 2), bool),
    }
    return {name: jnp.asarray(array) for name, array in arrays.items()}


def test_the_loss_is_the_weighted_sum_over_resolutions():
    variables = model.init(
        CFG.model, jax.random.key(0), (1, *SHAPE, 2), num_classes=2, intensities=CHANNELS
    )
    params, state = variables["params"], {model.INTENSITIES: variables[model.INTENSITIES]}
    total, (after, metrics) = loss(CFG, params, state, batch(), jax.random.key(1))
    image = model.normalize(state, batch()["image"])
    gate = jnp.ones((2, *SHAPE))
    outputs = model.apply(CFG.model, params, image, gate, num_classes=2, deep=True)
    label, both = batch()["label"], jnp.ones((2, 2), bool)
    # Of two resolutions the lower has no weight.
    entropy, overlap = terms_of(CFG.loss, outputs[0], at_resolution(label, outputs[0]), both)
    assert after == state
    np.testing.assert_allclose(total, entropy + overlap, rtol=1e-6)
    np.testing.assert_allclose(
        [metrics["loss_entropy"], metrics["loss_overlap"]], [entropy, overlap], rtol=1e-6
    )


def test_attention_moves_with_the_image():
    """A patch that is all mirrored gives the loss of the mirrored patch, attention included."""
    mirrored = VolumeAugmentConfig(
        rotation_probability=0.0,
        scaling_probability=0.0,
        noise_probability=0.0,
        blur_probability=0.0,
        brightness_probability=0.0,
        contrast_probability=0.0,
        low_resolution_probability=0.0,
        inverted_gamma_probability=0.0,
        gamma_probability=0.0,
        mirror_probability=1.0,
        degrees=0.0,
        loading_scales=(1.0, 1.0),
    )
    cfg = replace(CFG, augment=mirrored)
    variables = model.init(
        cfg.model, jax.random.key(0), (1, *SHAPE, 2), num_classes=2, intensities=CHANNELS
    )
    params, state = variables["params"], {model.INTENSITIES: variables[model.INTENSITIES]}
    given = batch() | {
        "attention": np.linspace(0, 1, 2 * 256).reshape(2, *SHAPE).astype(np.float16)
    }
    flipped = {k: v if k == "annotated" else jnp.flip(v, (1, 2, 3)) for k, v in given.items()}
    run = partial(loss, params=params, model_state=state, key=jax.random.key(1))
    np.testing.assert_allclose(run(cfg, batch=given)[0], run(CFG, batch=flipped)[0], rtol=1e-5)


def test_a_model_without_attention_needs_none():
    cfg = replace(
        CFG,
        data=replace(CFG.data, informative=False),
        model=ModelConfig(SMALL.features, SMALL.strides, attention=False, head="conv"),
    )
    variables = model.init(
        cfg.model, jax.random.key(0), (1, *SHAPE, 2), num_classes=2, intensities=CHANNELS
    )
    given = {name: value for name, value in batch().items() if name != "attention"}
    state = {model.INTENSITIES: variables[model.INTENSITIES]}
    total, _ = loss(cfg, variables["params"], state, given, jax.random.key(1))
    assert np.isfinite(total)
