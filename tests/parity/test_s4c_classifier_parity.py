"""The classifier of S4C in float32 against its PyTorch twin with the same weights in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.losses.entropy import cross_entropy
from s4c.classifier.config import ModelConfig
from s4c.model import classifier

torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")

from benchmarks.peers import torch_s4c_classifier  # noqa: E402
from benchmarks.peers.torch_layout import to_input  # noqa: E402

pytestmark = pytest.mark.parity
RELATIVE = 5e-5
"""Float32 rounding through two layers, of sums over a few hundred voxels."""


def assert_close(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=RELATIVE * np.abs(theirs).max())


@pytest.mark.parametrize("shape", [(6, 10, 7), (8, 16, 8)], ids=["exact", "padded"])
def test_the_classifier_gives_the_same_logits_and_gradients(shape):
    cfg, size, num_channels = ModelConfig(width=16, groups=8), (6, 10, 7), 12
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda a: a + np.float32(0.1) * rng.standard_normal(a.shape, np.float32),
        classifier.init(cfg, jax.random.key(0), num_channels)["params"],
    )
    features = rng.standard_normal((2, *size, num_channels), np.float32)
    missing = [(0, n - m) for n, m in zip(shape, size, strict=True)]
    padded = jnp.pad(features, ((0, 0), *missing, (0, 0)), constant_values=3.0)
    abnormal = np.array([0, 1])

    @jax.jit
    def run(params):
        def loss(params):
            logits = classifier.apply(cfg, params, padded, jnp.array([size] * 2, jnp.int32))
            return cross_entropy(logits, abnormal).mean(), logits

        return jax.value_and_grad(loss, has_aux=True)(params)

    (value, logits), grads = run(params)
    twin = torch_s4c_classifier.build(cfg, params, num_channels).double()
    theirs = twin(to_input(features).double())
    entropy = torch.nn.functional.cross_entropy(theirs, torch.tensor(abnormal))
    entropy.backward()
    assert_close(logits, theirs.detach())
    assert float(value) == pytest.approx(entropy.item(), rel=RELATIVE)
    expected = torch_s4c_classifier.to_state_dict(grads)
    for name, parameter in twin.named_parameters():
        assert_close(expected[name], parameter.grad)
