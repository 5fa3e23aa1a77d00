"""The network sees a region and nothing beyond it, in whatever shape the region comes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from s4c.classifier.config import RECIPES, DataConfig, InferConfig, ModelConfig
from s4c.model import classifier

TINY = ModelConfig(width=8, groups=4)
CHANNELS, SIZE = 6, (3, 5, 2)
ROUNDING = 1e-6
"""Of float32 logits near 1: other shapes, other order of sums."""


def used(variables):
    """Parameters that are not what they start as: norms shift, so that padding would show."""
    random = np.random.default_rng(0)
    draw = lambda a: a + np.float32(0.3) * random.standard_normal(a.shape, np.float32)  # noqa: E731
    return jax.tree.map(draw, variables["params"])


@pytest.fixture(scope="module")
def params():
    return used(classifier.init(TINY, jax.random.key(0), CHANNELS))


def features(seed=1, size=SIZE):
    return np.random.default_rng(seed).standard_normal((*size, CHANNELS), np.float32)


def padded(array, shape, fill):
    missing = [(0, n - size) for n, size in zip(shape, array.shape[:3], strict=True)]
    return np.pad(array, (*missing, (0, 0)), constant_values=fill)


@jax.jit
def logits(params, features, size):
    return classifier.apply(TINY, params, features, size)


def of_one(params, array, size=SIZE):
    return logits(params, array[None], np.array([size], np.int32))


def test_the_paper_has_885506_parameters():
    cfg = RECIPES["classifier"].model
    drawn = jax.eval_shape(lambda key: classifier.init(cfg, key, 128), jax.random.key(0))
    convolutions, norms, score = 2 * 27 * 128 * 128, 2 * 2 * 128, 128 * 2 + 2
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(drawn))
    assert count == convolutions + norms + score == 885_506


@pytest.mark.parametrize("fill", [0.0, 7.0, np.nan])
@pytest.mark.parametrize("shape", [(8, 8, 8), (3, 5, 8), (16, 8, 8)])
def test_padding_changes_no_logit(params, shape, fill):
    array = features()
    exact = of_one(params, array)
    assert np.abs(exact).min() > 1e-2
    np.testing.assert_allclose(
        of_one(params, padded(array, shape, fill)), exact, atol=ROUNDING, rtol=ROUNDING
    )


def test_padding_changes_no_gradient(params):
    @jax.jit
    def gradient(params, array):
        size = jnp.array([SIZE], jnp.int32)
        return jax.grad(lambda p: classifier.apply(TINY, p, array[None], size)[0, 1])(params)

    array = features()
    exact, ours = (gradient(params, a) for a in (array, padded(array, (8, 8, 8), np.nan)))
    for a, b in zip(jax.tree.leaves(exact), jax.tree.leaves(ours), strict=True):
        # Float32 sums of 30 voxels and 162 taps, in another order.
        np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(a).max())


def test_examples_of_a_batch_do_not_see_each_other(params):
    sizes = [(3, 5, 2), (8, 1, 4)]
    arrays = [features(seed, size) for seed, size in enumerate(sizes)]
    batch = np.stack([padded(array, (8, 8, 8), 0) for array in arrays])
    ours = logits(params, batch, np.array(sizes, np.int32))
    alone = [of_one(params, array, size)[0] for array, size in zip(arrays, sizes, strict=True)]
    np.testing.assert_allclose(ours, np.stack(alone), atol=ROUNDING, rtol=ROUNDING)


def test_a_group_norm_brings_a_group_to_mean_0_and_variance_1_inside_the_mask():
    norm, size = classifier.GroupNorm(groups=2), jnp.array([[2, 3, 4]], jnp.int32)
    x = 5 + 3 * jax.random.normal(jax.random.key(0), (1, 4, 4, 4, 6))
    mask = classifier.inside(size, (4, 4, 4))
    y = norm.apply(norm.init(jax.random.key(0), x, mask), x, mask)[:, :2, :3, :4]
    groups = y.reshape(-1, 2, 3).swapaxes(0, 1).reshape(2, -1)
    np.testing.assert_allclose(groups.mean(1), 0, atol=1e-6)
    # eps = 1e-5 beside a variance near 9.
    np.testing.assert_allclose(groups.var(1), 1, rtol=1e-5)


def test_logits_are_float32_when_the_network_computes_in_bfloat16(params):
    cfg = ModelConfig(width=8, groups=4, dtype="bfloat16")
    size = jnp.array([SIZE], jnp.int32)
    ours = jax.jit(lambda p, x: classifier.apply(cfg, p, x, size))(params, features()[None])
    assert ours.dtype == jnp.float32
    full = of_one(params, features())
    # bfloat16 keeps eight bits, in two layers.
    np.testing.assert_allclose(ours, full, atol=0.05 * np.abs(full).max())


@pytest.mark.parametrize(
    ("cls", "field", "value", "message"),
    [
        (ModelConfig, "groups", 0, "groups must be positive"),
        (ModelConfig, "width", 0, "width must be positive"),
        (ModelConfig, "width", 40, "must be divisible by 32 .groups of channels."),
        (ModelConfig, "dtype", "float16", "dtype must be one of"),
        (DataConfig, "batch", 0, "batch must be positive"),
        (InferConfig, "roi_margin", -1, "roi_margin must not be negative"),
        (InferConfig, "threshold", 1.5, "threshold must lie in"),
    ],
)
def test_config_refuses_what_the_network_cannot_be(cls, field, value, message):
    with pytest.raises(ValueError, match=message):
        cls(**{field: value})
