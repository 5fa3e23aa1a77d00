import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from s4c import model
from s4c.config import ModelConfig

TINY = ModelConfig(width=4)


def num_scalars(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


@cache
def shapes(cfg):
    return jax.eval_shape(lambda key: model.init(cfg, key, (1, 16, 16, 16, 1)), jax.random.key(0))


def without_aux(params):
    return {name: layer for name, layer in params.items() if not name.startswith("aux")}


@pytest.fixture(scope="module")
def variables():
    return jax.jit(lambda key: model.init(TINY, key, (1, 16, 16, 16, 1)))(jax.random.key(0))


def image(n, side=16):
    return jax.random.normal(jax.random.key(1), (n, side, side, side, 1))


@jax.jit
def evaluate(variables, image):
    state = {"batch_stats": variables["batch_stats"]}
    return model.apply(TINY, variables["params"], state, image)[0].main


@pytest.mark.parametrize(
    ("network", "width", "num_classes", "count"),
    [
        ("unet3d", 32, 4, 19_073_860),
        ("unet3d", 32, 3, 19_073_795),
        ("vnet", 16, 4, 61_997_044),
        ("vnet", 16, 3, 61_993_032),
    ],
)
def test_parameter_counts_of_the_compared_networks(network, width, num_classes, count):
    cfg = ModelConfig(network, width=width, num_classes=num_classes, num_aux=0)
    assert num_scalars(shapes(cfg)["params"]) == count


@pytest.mark.parametrize("network", ["unet3d", "vnet"])
def test_compared_networks_keep_the_grid_and_have_no_auxiliary_outputs(network):
    cfg = ModelConfig(network, width=2, num_classes=4, num_aux=0)
    side = cfg.downsampling

    def run(key):
        drawn = model.init(cfg, key, (1, side, side, side, 1))
        state = {"batch_stats": drawn["batch_stats"]}
        return model.apply(cfg, drawn["params"], state, image(2, side), train=True)

    outputs, after = jax.eval_shape(run, jax.random.key(0))
    assert outputs.main.shape == (2, side, side, side, 4)
    assert outputs.aux == ()
    assert after["batch_stats"]
    with pytest.raises(ValueError, match=rf"divisible by {side}"):
        jax.eval_shape(
            lambda key: model.init(cfg, key, (1, *(side // 2 * 3,) * 3, 1)), jax.random.key(0)
        )


@pytest.mark.parametrize("network", ["unet3d", "vnet"])
def test_only_resdsn_has_auxiliary_outputs(network):
    with pytest.raises(ValueError, match="no auxiliary outputs"):
        ModelConfig(network, num_aux=1)


@pytest.mark.parametrize("aux_at", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("num_classes", "num_aux", "conv_bias", "training", "inference", "buffers"),
    [
        (4, 2, True, 8_217_996, 7_430_916, 3_520),
        (4, 2, False, 8_216_236, 7_429_284, 3_520),
        (3, 2, True, 8_217_897, 7_430_883, 3_520),
        (3, 2, False, 8_216_137, 7_429_251, 3_520),
        (3, 1, True, 7_562_150, 7_430_883, 3_328),
        (3, 1, False, 7_560_486, 7_429_251, 3_328),
    ],
)
def test_parameter_counts_follow_from_the_layer_table(
    num_classes, num_aux, conv_bias, training, inference, buffers, aux_at
):
    cfg = ModelConfig(num_classes=num_classes, num_aux=num_aux, conv_bias=conv_bias, aux_at=aux_at)
    variables = shapes(cfg)
    assert num_scalars(variables["params"]) == training
    assert num_scalars(without_aux(variables["params"])) == inference
    assert num_scalars(variables["batch_stats"]) == buffers


def test_one_convolution_in_step_1_drops_conv1b():
    dropped = set(shapes(ModelConfig())["params"]) - set(
        shapes(ModelConfig(convs_step1=1))["params"]
    )
    assert dropped == {"conv1b"}


@pytest.mark.parametrize("aux_at", ["encoder", "decoder"])
@pytest.mark.parametrize("num_aux", [1, 2])
def test_training_gives_auxiliary_logits_at_full_resolution(num_aux, aux_at):
    cfg = ModelConfig(num_classes=5, width=2, num_aux=num_aux, aux_at=aux_at)

    def run(key, image):
        variables = model.init(cfg, key, image.shape)
        state = {"batch_stats": variables["batch_stats"]}
        return model.apply(cfg, variables["params"], state, image, train=True)

    outputs, state = jax.eval_shape(run, jax.random.key(0), jnp.zeros((2, 16, 8, 24, 1)))
    assert [z.shape for z in (outputs.main, *outputs.aux)] == [(2, 16, 8, 24, 5)] * (1 + num_aux)
    assert {a.dtype for a in jax.tree.leaves(outputs)} == {jnp.dtype(jnp.float32)}
    assert list(state) == ["batch_stats"]


def test_evaluation_of_a_batch_equals_its_examples_one_by_one(variables):
    batch = evaluate(variables, image(3))
    alone = jnp.concatenate([evaluate(variables, image(3)[i : i + 1]) for i in range(3)])
    # Other tile sizes, other order of float32 sums.
    np.testing.assert_allclose(batch, alone, atol=1e-5 * np.abs(alone).max())


def test_evaluation_needs_no_auxiliary_parameters(variables):
    needed = {**variables, "params": without_aux(variables["params"])}
    np.testing.assert_array_equal(evaluate(needed, image(1)), evaluate(variables, image(1)))


def test_evaluation_has_no_auxiliary_logits_and_keeps_its_state(variables):
    def run(variables, image):
        state = {"batch_stats": variables["batch_stats"]}
        outputs, after = model.apply(TINY, variables["params"], state, image)
        assert after is state
        return outputs

    assert jax.eval_shape(run, variables, image(1)).aux == ()


def test_every_parameter_gets_a_finite_gradient_and_every_statistic_moves(variables):
    state = {"batch_stats": variables["batch_stats"]}

    @jax.jit
    def run(params, image):
        def loss(params):
            outputs, after = model.apply(TINY, params, state, image, train=True)
            return sum(jnp.sum(jnp.square(z - 1)) for z in (outputs.main, *outputs.aux)), after

        return jax.grad(loss, has_aux=True)(params)

    grads, after = run(variables["params"], image(2))
    for leaf in jax.tree.leaves(grads):
        assert np.isfinite(leaf).all()
        assert np.any(leaf != 0)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).any()), state, after)))


def test_logits_are_float32_when_the_network_computes_in_bfloat16(variables):
    cfg = ModelConfig(width=4, dtype="bfloat16")
    state = {"batch_stats": variables["batch_stats"]}
    outputs, _ = jax.jit(lambda p, x: model.apply(cfg, p, state, x))(variables["params"], image(1))
    assert outputs.main.dtype == jnp.float32
    # bfloat16 keeps eight bits; twenty layers spread their rounding.
    full = evaluate(variables, image(1))
    np.testing.assert_allclose(outputs.main, full, atol=0.1 * np.abs(full).max())


@pytest.mark.parametrize("shape", [(1, 12, 16, 16, 1), (1, 16, 16, 20, 1)])
def test_sizes_that_three_poolings_do_not_divide_are_refused(variables, shape):
    with pytest.raises(ValueError, match="must be divisible by 8"):
        evaluate(variables, jnp.zeros(shape))


def test_an_image_without_channel_axis_is_refused(variables):
    with pytest.raises(ValueError, match="image must have 5 axes"):
        evaluate(variables, jnp.zeros((1, 16, 16, 16)))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_classes", 1, "num_classes must be at least 2"),
        ("width", 0, "width must be positive"),
        ("num_aux", 3, "num_aux must be one of"),
        ("aux_at", "bottom", "aux_at must be one of"),
        ("convs_step1", 3, "convs_step1 must be one of"),
        ("dtype", "float16", "dtype must be one of"),
    ],
)
def test_config_refuses_what_the_network_cannot_be(field, value, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(**{field: value})
