import math
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn.resnet import ResNet, global_mean
from lnmet.model import status
from lnmet.model.status_network import BLOCKS, STEM_STRIDE
from lnmet.status.config import RECIPES, ModelConfig

TINY = ModelConfig(width=4)
BASELINE = ModelConfig(width=4, pooling="mean", nodes=False, hidden=0)
TINY_3D = ModelConfig(network="resnet3d", width=4, pooling="mean", nodes=False, hidden=0)
SHAPES = {"resnet2d": (3, 32, 32, 3), "resnet3d": (3, 8, 32, 32, 3)}


@cache
def variables_of(cfg):
    return jax.jit(lambda key: status.init(cfg, key, SHAPES[cfg.network]))(jax.random.key(0))


@cache
def compiled(cfg, train=False):
    return jax.jit(partial(status.apply, cfg, train=train))


def run(cfg, variables, *arrays, train=False):
    state = {"batch_stats": variables["batch_stats"]}
    return compiled(cfg, train)(variables["params"], state, *arrays)


def inputs(cfg, seed=0):
    rng, shape = np.random.default_rng(seed), SHAPES[cfg.network]
    image = rng.standard_normal(shape, np.float32)
    mask = (rng.random((*shape[:-1], 1)) < 0.3).astype(np.float32)
    return jnp.asarray(image), jnp.asarray(mask), jnp.array([0.0, 500.0, 80.0])


def num_scalars(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def params_of(cfg):
    init = partial(status.init, cfg, shape=SHAPES[cfg.network])
    return jax.eval_shape(init, jax.random.key(0))["params"]


# Trunk, side branch, and the last layer; 512 channels, 4,096 of texture, or both.
BASELINES = {
    "mean": 11_176_512 + 3_200 + 512 * 2 + 2,
    "texture": 11_176_512 + 3_200 + 65_920 + 4_128 + 4_096 * 2 + 2,
    "both": 11_176_512 + 3_200 + 65_920 + 4_128 + 4_608 * 2 + 2,
}


@pytest.mark.parametrize(("pooling", "total"), BASELINES.items())
def test_baselines_have_their_parameters(pooling, total):
    cfg = ModelConfig(pooling=pooling, texture="deepten", nodes=False, hidden=0)
    assert num_scalars(params_of(cfg)) == total
    assert total == {"mean": 11_180_738, "texture": 11_257_954, "both": 11_258_978}[pooling]


def test_the_network_with_the_texture_of_deepten_has_its_parameters():
    params = params_of(ModelConfig(texture="deepten", hidden=0))
    assert num_scalars(params) == BASELINES["both"] + 2 + 2 * 4_608 == 11_268_196
    assert num_scalars(params["side"]) == 7 * 7 * 64 + 64
    assert num_scalars(params["texture"]["encoding"]) == 32 * 128 + 32


def test_the_networks_of_the_recipes_have_their_parameters():
    texture = (512 * 64 + 64) + 2 * 64 + (8 * 64 + 8)
    head = (1_024 * 64 + 64) + (64 * 2 + 2)
    ours = 11_176_512 + 3_200 + texture + (2 + 2 * 1_024) + head
    assert num_scalars(params_of(RECIPES["status"].model)) == ours == 11_280_972
    no_nodes = params_of(RECIPES["status-no-nodes"].model)
    assert num_scalars(no_nodes) == ours - (2 + 2 * 1_024)
    box = params_of(RECIPES["status-resnet3d"].model)
    assert num_scalars(box["side"]) == 7**3 * 64 + 64
    assert num_scalars(box) == 33_736_911 - 533_007 + 22_016 + 1_026 == 33_226_946


@pytest.mark.parametrize("cfg", [BASELINE, TINY_3D])
def test_at_the_start_the_side_branch_changes_no_bit(cfg):
    variables, (image, mask, volume) = variables_of(cfg), inputs(cfg)
    masks = [mask, jnp.zeros_like(mask), jnp.ones_like(mask), -7 * mask]
    logits = [run(cfg, variables, image, m, volume)[0] for m in masks]
    for other in logits[1:]:
        np.testing.assert_array_equal(other, logits[0])

    @jax.jit
    def without(params, stats):
        stride = STEM_STRIDE[cfg.network]
        trunk = ResNet("basic", BLOCKS, cfg.width, stem_stride=stride)
        trees = {"params": params["trunk"], "batch_stats": stats["trunk"]}
        mean = global_mean(trunk.apply(trees, image, train=False)[-1])
        return mean @ params["fc"]["kernel"] + params["fc"]["bias"].reshape(1, -1)

    expected = without(variables["params"], variables["batch_stats"])
    np.testing.assert_array_equal(logits[0], expected)


@pytest.mark.parametrize("cfg", [BASELINE, TINY_3D])
def test_a_side_branch_that_has_learned_sees_the_mask(cfg):
    variables, (image, mask, volume) = variables_of(cfg), inputs(cfg)
    conv = variables["params"]["side"]["conv"]
    moved = {"conv": {**conv, "kernel": conv["kernel"] + 0.1}}
    variables = {**variables, "params": {**variables["params"], "side": moved}}
    (masked, _), (empty, _) = (
        run(cfg, variables, image, m, volume) for m in (mask, jnp.zeros_like(mask))
    )
    assert masked.shape == empty.shape == (3, 2)
    assert masked.dtype == jnp.float32
    assert np.all(masked != empty)


def test_the_volume_is_added_linearly():
    cfg = ModelConfig(width=4, pooling="mean", hidden=0)
    variables, (image, mask, _) = variables_of(cfg), inputs(cfg)
    logits = [
        np.asarray(run(cfg, variables, image, mask, jnp.full(3, volume))[0])
        for volume in (0.0, 1.0, 2.0)
    ]
    # Eq. 7 has no ReLU: equal steps of the volume are equal steps of the logits.
    np.testing.assert_allclose(logits[2] - logits[1], logits[1] - logits[0], rtol=1e-3)
    assert np.abs(logits[1] - logits[0]).min() > 1e-3


def test_a_network_without_nodes_does_not_look_at_their_volume():
    variables, (image, mask, volume) = variables_of(BASELINE), inputs(BASELINE)
    np.testing.assert_array_equal(
        run(BASELINE, variables, image, mask, volume)[0],
        run(BASELINE, variables, image, mask, volume + 1)[0],
    )


def test_a_batch_of_equal_volumes_has_finite_logits_statistics_and_gradients():
    variables, (image, mask, _) = variables_of(TINY), inputs(TINY)
    state = {"batch_stats": variables["batch_stats"]}

    @jax.jit
    def gradient(head, volume):
        def loss(head):
            params = {**variables["params"], **head}
            logits, after = status.apply(TINY, params, state, image, mask, volume, train=True)
            return jnp.square(logits).sum(), (logits, after)

        return jax.grad(loss, has_aux=True)(head)

    head = {name: variables["params"][name] for name in ("volume_norm", "volume_fc", "fc")}
    for volume_mm3 in (0.0, 12_345.0):
        results = gradient(head, jnp.full(3, volume_mm3))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results))
        norm = results[1][1]["batch_stats"]["volume_norm"]
        np.testing.assert_allclose(norm["mean"], [0.1 * volume_mm3], rtol=1e-6)
        np.testing.assert_allclose(norm["var"], [0.9], rtol=1e-6)


def test_evaluation_moves_no_statistics_and_training_moves_all():
    variables, arrays = variables_of(TINY), inputs(TINY)
    before = variables["batch_stats"]
    _, kept = run(TINY, variables, *arrays)
    jax.tree.map(np.testing.assert_array_equal, kept["batch_stats"], before)
    _, moved = run(TINY, variables, *arrays, train=True)
    assert jax.tree.all(jax.tree.map(lambda a, b: np.any(a != b), moved["batch_stats"], before))


def test_parts_are_frozen_by_their_names_and_the_side_branch_never():
    params = params_of(TINY)
    frozen = status.frozen_parts(params, ("conv1", "layer2"))
    assert jax.tree.structure(frozen) == jax.tree.structure(dict(params))
    assert frozen["trunk"]["stem"] == {
        "conv": {"kernel": True},
        "norm": {"scale": False, "bias": False},
    }
    of_block = {name: jax.tree.leaves(tree) for name, tree in frozen["trunk"].items()}
    assert {name for name, leaves in of_block.items() if all(leaves)} == {"layer2_0", "layer2_1"}
    everything = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
    frozen = status.frozen_parts(params, everything)
    assert all(jax.tree.leaves(frozen.pop("trunk")))
    assert not any(jax.tree.leaves(frozen))
    assert not any(jax.tree.leaves(status.frozen_parts(params, ())))


def test_layers_start_as_pytorch_draws_them():
    cfg = ModelConfig(width=16, pooling="mean", hidden=64)
    params = jax.jit(lambda key: status.init(cfg, key, (1, 32, 32, 3)))(jax.random.key(0))["params"]
    assert not np.any(params["side"]["conv"]["kernel"])
    np.testing.assert_array_equal(params["side"]["conv"]["bias"], 1)
    for name, num_in in {"volume_fc": 1, "hidden": 128, "fc": 64}.items():
        for leaf in params[name].values():
            assert np.abs(leaf).max() <= num_in**-0.5
        assert np.abs(params[name]["kernel"]).max() > 0.9 * num_in**-0.5


def test_logits_stay_float32():
    for cfg in (TINY, TINY_3D):
        half = ModelConfig(**{**vars(cfg), "dtype": "bfloat16"})
        state = {"batch_stats": variables_of(cfg)["batch_stats"]}
        logits, _ = jax.eval_shape(
            partial(status.apply, half), variables_of(cfg)["params"], state, *inputs(cfg)
        )
        assert logits.dtype == jnp.float32


def test_pictures_are_refused_by_the_network_of_boxes():
    with pytest.raises(ValueError, match="image must have 5 axes"):
        status.init(TINY_3D, jax.random.key(0), SHAPES["resnet2d"])
