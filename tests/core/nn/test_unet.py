import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn.unet import Features, Heads, UNet, UNetPlan, average_pool

SMALL = UNetPlan(
    features=(4, 6, 8),
    strides=((1, 1, 1), (1, 2, 2), (2, 2, 2)),
    kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3)),
    encoder_units=(1, 2, 2),
    decoder_units=(2, 1),
)
RESIDUAL = UNetPlan(**{**SMALL.__dict__, "encoder": "residual", "encoder_units": (1, 1, 2)})


class Network(nn.Module):
    plan: UNetPlan
    num_classes: int = 2
    use_bias: bool = False

    @nn.compact
    def __call__(self, image):
        maps = UNet(self.plan, name="unet")(image).decoder
        return Heads(self.num_classes, use_bias=self.use_bias, name="heads")(maps)


def num_parameters(network: Network, num_channels: int = 2) -> int:
    factors = network.plan.downsampling
    image = jax.ShapeDtypeStruct((1, *factors, num_channels), jnp.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), image)
    return sum(array.size for array in jax.tree.leaves(variables))


@pytest.mark.parametrize(
    ("network", "num_channels", "expected"),
    [
        (Network(UNetPlan()), 2, 30_786_048),
        (Network(UNetPlan(), use_bias=True), 2, 30_786_058),
        (Network(UNetPlan(transposed_bias=True), use_bias=True), 2, 30_786_858),
        (Network(UNetPlan(), num_classes=20 - 10), 2, 30_786_048 + 8 * 800),
        (Network(UNetPlan()), 1, 30_785_184),
    ],
    ids=["1.7", "bias of heads", "2", "ten classes", "one phase"],
)
def test_parameter_counts_of_the_papers_plan(network, num_channels, expected):
    """The spec's layer table of nnU-Net 1.7 at 80 × 192 × 160, and its variants."""
    assert num_parameters(network, num_channels) == expected


@pytest.mark.parametrize("plan", [SMALL, RESIDUAL], ids=["plain", "residual"])
def test_outputs_have_the_resolution_of_their_stage(plan):
    network, image = Network(plan), jnp.ones((1, 4, 8, 12, 2))
    outputs = jax.eval_shape(network.init_with_output, jax.random.key(0), image)[0]
    assert [out.shape for out in outputs] == [(1, 4, 8, 12, 2), (1, 4, 4, 6, 2)]
    assert plan.downsampling == (2, 4, 4)
    assert plan.downsampling_of(1) == (1, 2, 2)


def test_images_that_the_strides_do_not_divide_are_refused():
    with pytest.raises(ValueError, match=r"image spatial shape=\(10,\) must be divisible by 4"):
        jax.eval_shape(Network(SMALL).init, jax.random.key(0), jnp.ones((1, 4, 10, 12, 2)))


def test_a_gate_of_zeros_leaves_the_bias_of_the_head():
    maps = (jnp.ones((2, 4, 4, 4, 3)), jnp.ones((2, 2, 2, 2, 5)))
    gates = (jnp.zeros((2, 4, 4, 4, 1)), jnp.ones((2, 2, 2, 2, 1)))
    heads = Heads(2)
    variables = heads.init(jax.random.key(0), maps)
    variables["params"]["head0"]["bias"] = jnp.array([3.0, -1.0])
    gated, plain = heads.apply(variables, maps, gates), heads.apply(variables, maps)
    np.testing.assert_array_equal(gated[0], np.broadcast_to([3.0, -1.0], (2, 4, 4, 4, 2)))
    np.testing.assert_array_equal(gated[1], plain[1])
    assert not np.allclose(plain[0], gated[0])


def test_heads_may_have_a_unit_before_them_and_fewer_outputs():
    maps = tuple(jnp.ones((1, 4, 4, 4, c)) for c in (3, 5))
    variables = jax.eval_shape(Heads(2, "unit").init, jax.random.key(0), maps)
    assert variables["params"]["unit1"]["conv"]["kernel"].shape == (1, 1, 1, 5, 5)
    assert variables["params"]["head1"]["kernel"].shape == (1, 1, 1, 5, 2)
    first = Heads(2, "unit").init(jax.random.key(0), maps)
    assert len(Heads(2, "unit").apply(first, maps[:1])) == 1


def test_average_pooling_is_the_mean_of_blocks():
    x = np.arange(2 * 4 * 4 * 6, dtype=np.float32).reshape(1, 2, 4, 4, 6)
    out = average_pool(jnp.asarray(x), (1, 2, 4))
    assert out.shape == (1, 2, 2, 1, 6)
    np.testing.assert_allclose(out[0, 1, 1, 0], x[0, 1, 2:, :].mean(axis=(0, 1)))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"encoder": "dense"}, "encoder"),
        ({"strides": ((1, 1, 1),)}, "strides"),
        ({"kernels": ((3, 3, 3),)}, "kernels"),
        ({"encoder_units": (2,)}, "encoder_units"),
        ({"decoder_units": (2,) * 6}, "decoder_units"),
        ({"decoder_kernels": ((3, 3, 3),) * 6}, "decoder_kernels"),
    ],
)
def test_plans_that_do_not_fit_together_are_refused(change, name):
    plan = inspect.unwrap(UNetPlan)
    with pytest.raises(ValueError, match=name):
        plan(**change)


def test_features_name_the_bottleneck():
    network = UNet(SMALL)
    features = jax.eval_shape(
        network.init_with_output, jax.random.key(0), jnp.ones((1, 4, 8, 8, 1))
    )
    assert isinstance(features[0], Features)
    assert features[0].bottleneck.shape == (1, 2, 2, 2, 8)
