import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eusdaf import model
from eusdaf.config import ModelConfig
from eusdaf.model import daf, layers
from eusdaf.model.layers import ConvNormPRelu, conv

SMALL = {"width": 4, "blocks": (1, 1, 1, 1), "groups": 2, "group_width": 2, "features": 4}
CONFIGS = {
    "daf": ModelConfig(**SMALL),
    "unet": ModelConfig("unet", width=2),
    "attention-unet": ModelConfig("attention-unet", width=2),
}


def num_scalars(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


@cache
def shapes(cfg, channels=3):
    shape = (1, 64, 64, channels)
    return jax.eval_shape(lambda key: model.init(cfg, key, shape), jax.random.key(0))


def draw(cfg):
    """Variables from NumPy: compiling `init` takes longer than all that is tested here."""
    rng = np.random.default_rng(0)
    normal = {"kernel": 0.3, "bias": 0.1, "mean": 0.1}
    around = {"scale": 1.0, "var": 1.0, "slope": 0.25}

    def leaf(path, shape):
        name, drawn = path[-1].key, jnp.asarray(rng.standard_normal(shape.shape), jnp.float32)
        return normal[name] * drawn if name in normal else around[name] + 0.05 * jnp.abs(drawn)

    return jax.tree_util.tree_map_with_path(leaf, shapes(cfg))


def image(n=2, size=(32, 48)):
    return jax.random.normal(jax.random.key(1), (n, *size, 3))


@pytest.fixture(scope="module", params=CONFIGS)
def case(request):
    """Config, its variables, and its jitted forward pass in evaluation."""
    cfg = CONFIGS[request.param]
    variables = draw(cfg)
    state = {"batch_stats": variables["batch_stats"]}
    run = jax.jit(lambda x: model.apply(cfg, variables["params"], state, x)[0])
    return cfg, variables, run


@pytest.mark.parametrize(
    ("cfg", "channels", "total", "buffers"),
    [
        (ModelConfig(), 3, 43_486_371, 141_312),
        (ModelConfig(group_width=8), 3, 88_100_003, 206_336),
        (ModelConfig("unet"), 3, 34_527_041, 13_696),
        (ModelConfig("unet"), 1, 34_525_889, 13_696),
        (ModelConfig("attention-unet"), 3, 34_878_573, 15_624),
        (ModelConfig("attention-unet"), 1, 34_877_421, 15_624),
    ],
)
def test_parameter_counts_follow_from_the_layer_tables(cfg, channels, total, buffers):
    variables = shapes(cfg, channels)
    assert num_scalars(variables["params"]) == total
    assert num_scalars(variables["batch_stats"]) == buffers


# A layer of 3 × 3 from i to 64 has 9 · 64 i + 64 weights, a norm 128, a PReLU one.
@pytest.mark.parametrize(
    ("prefix", "count"),
    [
        ("encoder", 42_128_704),
        ("down1", 16_577),
        ("down2", 32_961),
        ("down3", 65_729),
        ("down4", 131_265),
        ("fuse1", 188_995),
        ("attention1", 115_138),
        ("attention4", 115_138),
        ("refine1", 115_267),
        ("refine4", 115_267),
        ("predict1", 65 * 2),
        ("predict4", 65 * 2),
    ],
)
def test_parts_of_daf_net_have_their_size(prefix, count):
    params = shapes(ModelConfig())["params"]
    assert num_scalars({k: v for k, v in params.items() if k.startswith(prefix)}) == count


def test_the_literal_refine_block_has_one_layer():
    params = dict(shapes(ModelConfig(refine="conv1"))["params"])
    assert {k for k in params if k.startswith("refine")} == {f"refine{i}_1" for i in range(1, 5)}
    del params["encoder"]
    assert num_scalars(params) == 930_139


def test_64x4d_has_the_width_of_its_groups():
    params = shapes(ModelConfig(groups=64))["params"]["encoder"]
    assert params["layer1_0"]["conv2"]["conv"]["kernel"].shape == (3, 3, 4, 256)
    assert params["layer4_2"]["conv2"]["conv"]["kernel"].shape == (3, 3, 32, 2048)


@pytest.mark.parametrize(
    ("gate", "count"), [("gate4", 263_939), ("gate3", 66_435), ("gate2", 16_835), ("gate1", 4_323)]
)
def test_gates_have_their_size(gate, count):
    assert num_scalars(shapes(ModelConfig("attention-unet"))["params"][gate]) == count


def test_the_answer_is_the_mean_of_the_single_images(case):
    cfg, _, run = case
    outputs = run(image())
    assert len(outputs.side_logits) == (8 if cfg.network == "daf" else 1)
    assert {m.shape for m in (outputs.logits, *outputs.side_logits)} == {(2, 32, 48, 1)}
    answers = outputs.side_logits[-4:] if cfg.network == "daf" else outputs.side_logits
    np.testing.assert_allclose(outputs.logits, np.mean(answers, axis=0), atol=1e-6)


def test_evaluation_of_a_batch_equals_its_examples_one_by_one(case):
    _, _, run = case
    batch = run(image()).logits
    alone = jnp.concatenate([run(image()[i : i + 1]).logits for i in range(2)])
    # Other tile sizes, other order of float32 sums.
    np.testing.assert_allclose(batch, alone, atol=1e-5 * np.abs(alone).max())


def test_every_parameter_gets_a_finite_gradient_and_every_statistic_moves(case):
    cfg, variables, _ = case
    state = {"batch_stats": variables["batch_stats"]}

    @jax.jit
    def run(params):
        def loss(params):
            outputs, after = model.apply(cfg, params, state, image(), train=True)
            return sum(jnp.sum(jnp.square(z - 1)) for z in outputs.side_logits), after

        return jax.grad(loss, has_aux=True)(params)

    grads, after = run(variables["params"])
    for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
        assert np.isfinite(leaf).all()
        # The gradient of a convolution's bias in front of a norm is zero, up to rounding.
        if path[-1].key != "bias" or "norm" in path[-2].key:
            assert np.any(leaf != 0), jax.tree_util.keystr(path)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).any()), state, after)))


def test_evaluation_keeps_its_state(case):
    cfg, variables, _ = case
    state = {"batch_stats": variables["batch_stats"]}

    def run(x):
        outputs, after = model.apply(cfg, variables["params"], state, x)
        assert after is state
        return outputs

    jax.eval_shape(run, image())


def test_logits_are_float32_when_the_network_computes_in_bfloat16(case):
    cfg, variables, _ = case
    half = ModelConfig(
        **{f: getattr(cfg, f) for f in cfg.__dataclass_fields__} | {"dtype": "bfloat16"}
    )
    state = {"batch_stats": variables["batch_stats"]}
    outputs = jax.eval_shape(
        lambda x: model.apply(half, variables["params"], state, x, train=True)[0], image()
    )
    assert {a.dtype for a in jax.tree.leaves(outputs)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("init", ["default", "uniform01"])
def test_decoder_weights_start_as_told(init):
    image = jnp.zeros((1, 4, 4, 16))
    layer = conv(image, 32, 3, init=init)
    params = layer.init(jax.random.key(0), image)["params"]
    for drawn in map(np.asarray, jax.tree.leaves(params)):
        low, high = (0, 1) if init == "uniform01" else np.array((-1, 1)) / np.sqrt(9 * 16)
        assert low <= drawn.min()
        assert drawn.max() <= high
        # At least 32 draws: all miss an outer fifth of the range once in 1,200 times.
        assert drawn.min() < low + 0.2 * (high - low)
        assert drawn.max() > high - 0.2 * (high - low)


def test_norms_and_slopes_start_neutral():
    layer, image = ConvNormPRelu(4, 1), jnp.zeros((1, 2, 2, 3))
    params = layer.init(jax.random.key(0), image, train=True)["params"]
    np.testing.assert_array_equal(params["norm"]["scale"], np.ones(4))
    np.testing.assert_array_equal(params["norm"]["bias"], np.zeros(4))
    np.testing.assert_array_equal(params["prelu"]["slope"], [0.25])


def test_the_literal_start_is_of_the_decoder_only(monkeypatch):
    cfg, asked = ModelConfig(**SMALL, decoder_init="uniform01"), []
    original = layers.conv

    def spy(*args, **options):
        asked.append(options["init"])
        return original(*args, **options)

    monkeypatch.setattr(layers, "conv", spy)
    monkeypatch.setattr(daf, "conv", spy)
    shapes.__wrapped__(cfg)
    # 4 downs, 3 of the fusion, 3 for each attention and refinement, 8 predictions.
    assert asked == ["uniform01"] * (4 + 3 + 4 * (3 + 3) + 8)


def test_daf_net_takes_images_of_any_size():
    outputs = jax.eval_shape(
        lambda key, x: model.apply(
            CONFIGS["daf"],
            (v := model.init(CONFIGS["daf"], key, x.shape))["params"],
            {"batch_stats": v["batch_stats"]},
            x,
        )[0],
        jax.random.key(0),
        image(1, (45, 70)),
    )
    assert outputs.logits.shape == (1, 45, 70, 1)


def test_u_nets_refuse_sizes_that_four_poolings_do_not_divide():
    with pytest.raises(ValueError, match="must be divisible by 16"):
        model.init(CONFIGS["unet"], jax.random.key(0), (1, 32, 40, 3))


def test_an_image_without_batch_axis_is_refused(case):
    cfg, variables, _ = case
    with pytest.raises(ValueError, match="image must have 4 axes"):
        model.apply(cfg, variables["params"], {}, jnp.zeros((32, 48, 3)))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("network", "vnet", "network must be one of"),
        ("width", 0, "width must be positive"),
        ("groups", 0, "groups must be positive"),
        ("group_width", 0, "group_width must be positive"),
        ("features", -1, "features must be positive"),
        ("blocks", (3, 4, 6), "blocks must be four numbers above zero"),
        ("blocks", (3, 4, 0, 3), "blocks must be four numbers above zero"),
        ("refine", "conv3", "refine must be one of"),
        ("upsampling", "nearest", "upsampling must be one of"),
        ("decoder_init", "zeros", "decoder_init must be one of"),
        ("dtype", "float16", "dtype must be one of"),
    ],
)
def test_config_refuses_what_the_network_cannot_be(field, value, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(**{field: value})
