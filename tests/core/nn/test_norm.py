import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn.norm import BatchNorm, InstanceNorm, moments


def image(shape=(3, 4, 2, 5, 6)):
    return 2 + 3 * jax.random.normal(jax.random.key(0), shape)


def test_moments_are_mean_and_biased_variance():
    mean, var = moments(image())
    rows = np.asarray(image(), np.float64).reshape(-1, 6)
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(var, rows.var(0), rtol=1e-5)


def test_moments_of_bfloat16_are_summed_in_float32():
    # In bfloat16 a count stops at 256.
    mean, var = moments(jnp.ones((1, 64, 64, 2), jnp.bfloat16))
    np.testing.assert_array_equal(mean, [1, 1])
    np.testing.assert_array_equal(var, [0, 0])


def test_training_brings_every_channel_to_mean_0_and_variance_1():
    layer = BatchNorm()
    variables = layer.init(jax.random.key(0), image(), train=True)
    out, _ = layer.apply(variables, image(), train=True, mutable=["batch_stats"])
    mean, var = moments(out)
    np.testing.assert_allclose(mean, np.zeros(6), atol=1e-5)
    np.testing.assert_allclose(var, np.ones(6), atol=1e-4)


def test_running_statistics_move_by_a_tenth():
    layer = BatchNorm()
    variables = layer.init(jax.random.key(0), image(), train=True)
    _, updated = layer.apply(variables, image(), train=True, mutable=["batch_stats"])
    mean, var = moments(image())
    np.testing.assert_allclose(updated["batch_stats"]["mean"], 0.1 * mean, rtol=1e-6)
    np.testing.assert_allclose(updated["batch_stats"]["var"], 0.9 + 0.1 * var, rtol=1e-6)


def test_eps_and_momentum_are_those_asked_for():
    layer = BatchNorm(eps=0.5, momentum=0.25)
    variables = layer.init(jax.random.key(0), image(), train=True)
    out, updated = layer.apply(variables, image(), train=True, mutable=["batch_stats"])
    mean, var = moments(image())
    np.testing.assert_allclose(updated["batch_stats"]["mean"], 0.75 * mean, rtol=1e-6)
    row = (1, 1, 1, 1, 6)
    expected = (image() - mean.reshape(row)) / np.sqrt(var + 0.5).reshape(row)
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_initialization_leaves_fresh_statistics():
    variables = BatchNorm().init(jax.random.key(0), image(), train=True)
    np.testing.assert_array_equal(variables["batch_stats"]["mean"], np.zeros(6))
    np.testing.assert_array_equal(variables["batch_stats"]["var"], np.ones(6))


def test_evaluation_uses_the_running_statistics():
    layer = BatchNorm()
    stats = {"mean": jnp.full(6, 2.0), "var": jnp.full(6, 4.0)}
    params = {"scale": jnp.full(6, 3.0), "bias": jnp.full(6, 1.0)}
    out = layer.apply({"params": params, "batch_stats": stats}, image(), train=False)
    expected = (image() - 2) / np.sqrt(4 + 1e-5) * 3 + 1
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_moments_far_from_zero_keep_their_variance():
    # E[x²] − μ² alone would lose all digits here: 1e4² · 2^-24 is six times the variance.
    near = image()
    mean, var = moments(near + 1e4)
    rows = np.asarray(near + 1e4, np.float64).reshape(-1, 6)
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-6)
    np.testing.assert_allclose(var, rows.var(0), rtol=1e-4)


def test_gradient_of_moments_is_that_of_their_formulas():
    def plain(x):
        mean = x.mean((0, 1, 2, 3))
        return jnp.stack([mean, ((x - mean.reshape(1, 1, 1, 1, -1)) ** 2).mean((0, 1, 2, 3))])

    pull = jax.random.normal(jax.random.key(1), (2, 6))
    ours, expected = (
        jax.grad(lambda x, f=f: (jnp.stack(list(f(x))) * pull).sum())(image())
        for f in (moments, plain)
    )
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_instance_norm_brings_every_channel_of_every_example_to_mean_0_and_variance_1():
    spread = image() * jnp.arange(1, 4).reshape(3, 1, 1, 1, 1)
    out, _ = InstanceNorm().init_with_output(jax.random.key(0), spread, train=True)
    rows = np.asarray(out, np.float64).reshape(3, -1, 6)
    np.testing.assert_allclose(rows.mean(1), np.zeros((3, 6)), atol=1e-5)
    np.testing.assert_allclose(rows.var(1), np.ones((3, 6)), atol=1e-4)


def test_instance_norm_of_an_example_ignores_the_others():
    params = {"scale": jnp.arange(6.0), "bias": jnp.full(6, 2.0)}
    layer = InstanceNorm().bind({"params": params})
    np.testing.assert_allclose(
        layer(image(), train=False)[1:2], layer(image()[1:2], train=True), atol=1e-5
    )


def test_instance_norm_in_bfloat16_keeps_its_parameters_in_float32():
    half = image().astype(jnp.bfloat16)
    out, variables = InstanceNorm().init_with_output(jax.random.key(0), half, train=True)
    assert out.dtype == jnp.bfloat16
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    assert list(variables) == ["params"]


@pytest.mark.parity
def test_instance_norm_equals_pytorch_in_value_and_gradient():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")
    x, grad = np.asarray(image()), np.asarray(jax.random.normal(jax.random.key(1), image().shape))
    peer_x = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    peer = torch.nn.functional.instance_norm(peer_x, eps=1e-5)
    peer.backward(torch.tensor(np.moveaxis(grad, -1, 1).copy()))
    layer = InstanceNorm()
    params = layer.init(jax.random.key(0), x, train=True)
    ours, pull_back = jax.vjp(lambda x: layer.apply(params, x, train=True), jnp.asarray(x))
    np.testing.assert_allclose(ours, peer.detach().movedim(1, -1), atol=1e-5)
    np.testing.assert_allclose(pull_back(grad)[0], peer_x.grad.movedim(1, -1), atol=1e-5)
