import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn.blocks import Conv, ConvNormActivation, ConvNormRelu, ConvTranspose
from core.nn.conv import conv, conv_transpose
from core.nn.norm import InstanceNorm


def normal(seed, shape):
    return jax.random.normal(jax.random.key(seed), shape)


def test_conv_layer_is_the_kernel_plus_bias():
    layer, image = Conv(4, (3, 3), padding=1, stride=2), normal(0, (2, 5, 6, 3))
    params = layer.init(jax.random.key(0), image)["params"]
    params = {**params, "bias": normal(1, (4,))}
    expected = conv(image, params["kernel"], stride=2, padding=1) + params["bias"].reshape(
        1, 1, 1, 4
    )
    np.testing.assert_allclose(layer.apply({"params": params}, image), expected, rtol=1e-6)


def test_transposed_layer_without_bias_is_the_kernel():
    layer, image = ConvTranspose(4, (4, 4, 4), use_bias=False), normal(0, (1, 2, 2, 2, 3))
    params = layer.init(jax.random.key(0), image)["params"]
    assert list(params) == ["kernel"]
    np.testing.assert_array_equal(
        layer.apply({"params": params}, image), conv_transpose(image, params["kernel"])
    )


def test_kernels_start_with_he_variance():
    # fan_in = 27 · 64; 27 · 64 · 64 draws put the sample deviation within 1 % of the true one.
    kernel = Conv(64, (3, 3, 3), padding=1).init(jax.random.key(0), jnp.zeros((1, 1, 1, 1, 64)))
    spread = float(kernel["params"]["kernel"].std())
    assert spread == pytest.approx(np.sqrt(2 / (27 * 64)), rel=0.01)


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("make", [Conv, ConvTranspose])
def test_evaluation_convolves_normalizes_by_the_running_statistics_and_rectifies(make, use_bias):
    extra = {"padding": 1} if make is Conv else {}
    size = 3 if make is Conv else 4
    layer = ConvNormRelu(make(4, (size,) * 3, use_bias=use_bias, **extra))
    image = normal(0, (2, 4, 4, 4, 3))
    variables = layer.init(jax.random.key(0), image, train=True)
    running = {"mean": normal(1, (4,)), "var": normal(2, (4,)) ** 2}
    learned = {"scale": normal(3, (4,)), "bias": normal(4, (4,))}
    params = {**variables["params"], "norm": learned}
    if use_bias:
        params["conv"] = {**params["conv"], "bias": normal(5, (4,))}
    out = layer.apply({"params": params, "batch_stats": {"norm": running}}, image, train=False)
    convolved = make(4, (size,) * 3, use_bias=use_bias, **extra).apply(
        {"params": params["conv"]}, image
    )
    row = {k: v.reshape(1, 1, 1, 1, 4) for k, v in {**running, **learned}.items()}
    expected = (convolved - row["mean"]) / jnp.sqrt(row["var"] + 1e-5) * row["scale"] + row["bias"]
    # Float32 rounding of another order of products.
    np.testing.assert_allclose(out, jnp.maximum(expected, 0), atol=1e-4)


def test_computation_in_bfloat16_keeps_parameters_and_statistics_in_float32():
    layer = ConvNormRelu(Conv(4, (3, 3, 3), padding=1, dtype=jnp.bfloat16))
    image = normal(0, (1, 4, 4, 4, 3))
    variables = layer.init(jax.random.key(0), image, train=True)
    out, updated = layer.apply(variables, image, train=True, mutable=["batch_stats"])
    assert out.dtype == jnp.bfloat16
    assert {a.dtype for a in jax.tree.leaves((variables, updated))} == {jnp.dtype(jnp.float32)}


def test_a_block_of_nnu_net_convolves_per_axis_normalizes_instances_and_leaks():
    layer = ConvNormActivation(
        Conv(4, (1, 3, 3), padding=(0, 1, 1), stride=(1, 2, 2)), InstanceNorm, jax.nn.leaky_relu
    )
    image = normal(0, (2, 3, 4, 6, 3))
    out, variables = layer.init_with_output(jax.random.key(0), image, train=True)
    params = variables["params"]
    assert out.shape == (2, 3, 2, 3, 4)
    x = conv(image, params["conv"]["kernel"], stride=(1, 2, 2), padding=(0, 1, 1))
    x, _ = InstanceNorm().init_with_output(jax.random.key(0), x, train=True)
    np.testing.assert_allclose(out, jnp.where(x > 0, x, 0.01 * x), atol=1e-5)


def test_a_transposed_layer_enlarges_per_axis():
    layer, image = ConvTranspose(4, (1, 2, 2), stride=(1, 2, 2)), normal(0, (1, 3, 2, 2, 3))
    assert layer.init_with_output(jax.random.key(0), image)[0].shape == (1, 3, 4, 4, 4)
