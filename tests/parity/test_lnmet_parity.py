"""LNMet's network and loss in float32 against the twin with the same weights in float64."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.augment.config import VolumeAugmentConfig
from core.preprocess.fingerprint import Intensities
from lnmet import model
from lnmet.config import RECIPES
from lnmet.loss import loss

torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")
pytest.importorskip("dynamic_network_architectures")

from benchmarks.peers import torch_lnmet  # noqa: E402
from benchmarks.peers.torch_layout import to_input  # noqa: E402

pytestmark = pytest.mark.parity
# Float32 through a dozen normalized layers; gradients are sums over 4096 voxels.
RELATIVE = 1e-4
SHAPE = (2, 8, 16, 16)


@pytest.fixture(params=["nodes", "nodes-no-attention"], scope="module")
def case(request):
    """Config, random variables, and a batch."""
    cfg = RECIPES[request.param]
    cfg = replace(
        cfg,
        data=replace(cfg.data, patch=SHAPE[1:]),
        augment=VolumeAugmentConfig(scheme="none"),
        model=replace(
            cfg.model,
            features=(4, 6, 8, 8),
            strides=((1, 1, 1), (1, 2, 2), (2, 2, 2), (1, 2, 2)),
        ),
    )
    channels = [Intensities(-1e3, 1e3, 0.0, 1.0)] * 2
    variables = jax.jit(
        lambda key: model.init(cfg.model, key, (*SHAPE, 2), num_classes=2, intensities=channels)
    )(jax.random.key(0))
    rng = np.random.default_rng(0)
    # Biases start at zero and norms at one: move all, so that nothing hides.
    moved = jax.tree.map(
        lambda a: a + np.float32(0.1) * np.abs(rng.standard_normal(a.shape, np.float32)),
        variables["params"],
    )
    batch = {
        "image": rng.standard_normal((*SHAPE, 2), np.float32),
        "attention": rng.random(SHAPE, np.float32),
        "label": rng.integers(0, 2, SHAPE, np.uint8),
        "annotated": np.ones((2, 2), bool),
    }
    return cfg, {**variables, "params": moved}, batch


def inputs(batch):
    image, gate = to_input(batch["image"]), to_input(batch["attention"][..., None])
    return image.double(), gate.double()


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=RELATIVE * np.abs(theirs).max())


def test_logits_of_every_resolution_are_the_same(case):
    cfg, variables, batch = case
    twin = torch_lnmet.build(cfg, variables).double().train()
    gate = batch["attention"] if cfg.model.attention else None
    outputs = jax.jit(
        lambda params: model.apply(
            cfg.model, params, jnp.asarray(batch["image"]), gate, num_classes=2, deep=True
        )
    )(variables["params"])
    with torch.no_grad():
        expected = twin(*inputs(batch))
    assert len(outputs) == len(expected) == 3
    for ours, theirs in zip(outputs, expected, strict=True):
        assert_close(ours, theirs.permute(0, 2, 3, 4, 1).numpy())


def test_the_loss_and_its_gradients_are_the_same(case):
    cfg, variables, batch = case
    state = {model.INTENSITIES: variables[model.INTENSITIES]}

    def ours(params):
        return loss(cfg, params, state, batch, jax.random.key(0))[0]

    value, grads = jax.jit(jax.value_and_grad(ours))(variables["params"])
    twin = torch_lnmet.build(cfg, variables).double().train()
    theirs = torch_lnmet.loss(cfg.loss, twin(*inputs(batch)), torch.tensor(batch["label"]).long())
    theirs.backward()
    np.testing.assert_allclose(value, theirs.item(), rtol=1e-5)
    by_name = torch_lnmet.to_state_dict(cfg, {"params": grads})
    largest = max(float(p.grad.abs().max()) for p in twin.parameters() if p.grad is not None)
    for name, parameter in twin.named_parameters():
        expected = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
        # A bias before a norm has no gradient but rounding.
        np.testing.assert_allclose(by_name[name], expected, rtol=0, atol=RELATIVE * largest)


def test_the_twin_has_our_parameters_and_no_others(case):
    cfg, variables, _ = case
    twin = torch_lnmet.build(cfg, variables)
    ours = sum(array.size for array in jax.tree.leaves(variables["params"]))
    assert sum(parameter.numel() for parameter in twin.parameters()) == ours
