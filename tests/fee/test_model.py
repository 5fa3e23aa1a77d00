import math
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn.norm import BatchNorm
from core.random import stream
from fee import model
from fee.config import ModelConfig
from fee.recipes import RECIPES

CONFIGS = {
    "resnet": ModelConfig("resnet", 4, (1, 1, 1, 1)),
    "unet": ModelConfig("unet", 2),
}
THREE = ModelConfig("unet", 16, convs=3)
NO_MIDDLE = ModelConfig("unet", 32, middle=False)


def num_scalars(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


@cache
def shapes(cfg):
    return jax.eval_shape(lambda key: model.init(cfg, key, (1, 512, 512, 1)), jax.random.key(0))


def draw(cfg):
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda s: jnp.asarray(0.3 * np.abs(rng.standard_normal(s.shape)), jnp.float32), shapes(cfg)
    )


def image(n=2):
    return jax.random.normal(jax.random.key(1), (n, 32, 48, 1))


@pytest.fixture(scope="module", params=CONFIGS)
def case(request):
    """Config, parameters, model state."""
    cfg = CONFIGS[request.param]
    variables = draw(cfg)
    return cfg, variables["params"], {"batch_stats": variables["batch_stats"]}


@pytest.mark.parametrize(
    ("cfg", "total", "buffers"),
    [
        (RECIPES["locate"].model, 11_171_266, 9_600),
        (RECIPES["diagnose"].model, 21_279_426, 17_024),
        (RECIPES["segment"].model, 2_161_378, 2_944),
        (THREE, 3_145_090, 4_416),
        (NO_MIDDLE, 4_504_002, 3_840),
    ],
)
def test_parameter_counts_follow_from_the_layer_tables(cfg, total, buffers):
    variables = shapes(cfg)
    assert num_scalars(variables["params"]) == total
    assert num_scalars(variables["batch_stats"]) == buffers


# A layer of 3 × 3 from i to o has 9 i o + o weights, and its norm 2 o.
@pytest.mark.parametrize(
    ("prefix", "count"),
    [
        ("down1", 2_544),
        ("down2", 14_016),
        ("down3", 55_680),
        ("down4", 221_952),
        ("middle", 886_272),
        ("enlarge4", 295_040),
        ("up4", 443_136),
        ("enlarge3", 73_792),
        ("up3", 110_976),
        ("enlarge2", 18_464),
        ("up2", 27_840),
        ("enlarge1", 4_624),
        ("up1", 7_008),
        ("score", 34),
    ],
)
def test_parts_of_u_net32_have_their_size(prefix, count):
    params = shapes(RECIPES["segment"].model)["params"]
    assert num_scalars({k: v for k, v in params.items() if k.startswith(prefix)}) == count


@pytest.mark.parametrize(
    ("recipe", "counts"),
    [
        ("locate", (147_968, 525_568, 2_099_712, 8_393_728)),
        ("diagnose", (221_952, 1_116_416, 6_822_400, 13_114_368)),
    ],
)
def test_stages_of_the_resnets_have_their_size(recipe, counts):
    params = shapes(RECIPES[recipe].model)["params"]
    trunk = params["trunk"]
    outputs = [
        num_scalars({k: v for k, v in trunk.items() if k.startswith(f"layer{stage}_")})
        for stage in range(1, 5)
    ]
    assert tuple(outputs) == counts
    assert num_scalars(trunk["stem"]["conv"]) == 49 * 64
    assert num_scalars(params["fc"]) == 2 * 512 + 2


def test_the_norms_are_those_of_the_recipe(case, monkeypatch):
    cfg, asked = replace(case[0], norm_eps=0.25, norm_momentum=0.75), set()
    original = BatchNorm.__call__

    def spy(norm, x, *, train):
        asked.add((norm.eps, norm.momentum))
        return original(norm, x, train=train)

    monkeypatch.setattr(BatchNorm, "__call__", spy)
    jax.eval_shape(lambda x: model.apply(cfg, *case[1:], x), image())
    assert asked == {(0.25, 0.75)}


def test_logits_have_two_classes_and_do_not_mix_examples(case):
    cfg, params, state = case
    run = jax.jit(lambda x: model.apply(cfg, params, state, x)[0])
    batch = run(image())
    assert batch.shape == ((2, 32, 48, 2) if cfg.network == "unet" else (2, 2))
    alone = jnp.concatenate([run(image()[i : i + 1]) for i in range(2)])
    # Other tile sizes, other order of float32 sums.
    np.testing.assert_allclose(batch, alone, atol=1e-5 * np.abs(alone).max())


def test_dropout_is_a_function_of_its_key_and_of_training_alone(case):
    cfg, params, state = case

    @jax.jit
    def train(key):
        return model.apply(cfg, params, state, image(), train=True, key=key)[0]

    keys = [stream(jax.random.key(seed), "dropout") for seed in (0, 0, 1)]
    first, same, other = (np.asarray(train(key)) for key in keys)
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_training_without_a_key_is_refused_unless_nothing_is_dropped(case):
    cfg, params, state = case
    with pytest.raises(ValueError, match=r"training with dropout=0.4 needs a key"):
        model.apply(cfg, params, state, image(), train=True)
    none = replace(cfg, dropout=0.0)
    jax.eval_shape(lambda x: model.apply(none, params, state, x, train=True), image())


def test_every_parameter_gets_a_finite_gradient_and_every_statistic_moves(case):
    cfg, params, state = case

    @jax.jit
    def run(params):
        def loss(params):
            logits, after = model.apply(
                cfg, params, state, image(), train=True, key=jax.random.key(0)
            )
            return jnp.sum(jnp.square(logits[..., 0] - 1)), after

        return jax.grad(loss, has_aux=True)(params)

    grads, after = run(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
        assert np.isfinite(leaf).all()
        # The gradient of a convolution's bias in front of a norm is zero, up to rounding.
        if path[-1].key != "bias" or path[-2].key != "conv":
            assert np.any(leaf != 0), jax.tree_util.keystr(path)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).any()), state, after)))


def test_evaluation_keeps_its_state_and_logits_are_float32_in_bfloat16(case):
    cfg, params, state = case
    half = replace(cfg, dtype="bfloat16")

    def run(x):
        logits, after = model.apply(half, params, state, x)
        assert after is state
        return logits

    assert jax.eval_shape(run, image()).dtype == jnp.float32


def test_a_size_that_four_poolings_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="must be divisible by 16"):
        model.init(CONFIGS["unet"], jax.random.key(0), (1, 32, 40, 1))


def test_an_image_without_batch_axis_is_refused(case):
    cfg, params, state = case
    with pytest.raises(ValueError, match="image must have 4 axes"):
        model.apply(cfg, params, state, jnp.zeros((32, 48, 1)))
