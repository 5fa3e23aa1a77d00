"""One convolution as a network, beside its twin in PyTorch."""

from types import ModuleType, SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from benchmarks import step
from benchmarks.subjects import Subject

IMAGE = np.random.default_rng(0).standard_normal((2, 6, 6, 3), np.float32)
TRUTH = np.random.default_rng(1).standard_normal((2, 6, 6, 4), np.float32)
RATE = 0.1


def convolve(kernel, image):
    return jax.lax.conv_general_dilated(
        image, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def loss(params, state, image, truth):
    return jnp.mean((convolve(params["kernel"], image) - truth) ** 2), state


SUBJECT = Subject(
    "conv",
    IMAGE,
    TRUTH,
    init=lambda key: {"params": {"kernel": jax.random.normal(key, (3, 3, 3, 4))}},
    predict=lambda params, state, image: convolve(params["kernel"], image),
    loss=loss,
    tx=optax.sgd(RATE),
    twin=lambda peer, variables: peer.twin(variables["params"]["kernel"]),
)


@pytest.fixture
def peer():
    """Makes the twin of a kernel; `off` is added to its weights."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")
    from benchmarks.peers.torch_bench import Twin
    from benchmarks.peers.torch_layout import kernel, to_input

    def make(weights):
        network = torch.nn.Conv2d(3, 4, 3, padding=1, bias=False)
        network.weight.data = kernel(np.asarray(weights), transposed=False) + made.off
        return network

    made = SimpleNamespace(off=0.0)
    made.twin = lambda weights: Twin(
        make=lambda: make(weights),
        inputs=[IMAGE],
        truth=to_input(TRUTH),
        logits=lambda outputs: outputs,
        loss=torch.nn.functional.mse_loss,
        optimizer=lambda network: torch.optim.SGD(network.parameters(), lr=RATE),
    )
    return made


def test_equal_networks_are_called_equal(peer):
    rows = list(step.measure(SUBJECT, "float32", peer, repeats=1))
    assert [row["name"] for row in rows] == ["conv forward", "conv training step"]
    assert [row["equal"] for row in rows] == [True, True]
    assert all(row["peer"].startswith("PyTorch ") for row in rows)


def test_unequal_networks_are_told(peer):
    peer.off = 0.1
    rows = list(step.measure(SUBJECT, "float32", peer, repeats=1))
    assert [row["equal"] for row in rows] == [False, False]


def test_every_form_of_pytorch_computes_the_same(peer):
    from benchmarks.peers import torch_bench

    twin = SUBJECT.twin(peer, {"params": {"kernel": np.ones((3, 3, 3, 4), np.float32)}})
    layouts = [torch_bench.Form("a", channels_last=is_last) for is_last in (True, False)]
    first, second = (torch_bench.Bench(twin, form) for form in layouts)
    np.testing.assert_allclose(first.logits(), second.logits(), rtol=1e-5)  # float32 sums
    assert first.inputs[0].stride() != second.inputs[0].stride()
    half = torch_bench.Bench(twin, torch_bench.Form("b", half=True))
    # 8 significant bits of up to 27 terms.
    np.testing.assert_allclose(half.logits(), first.logits(), atol=27 * 2**-8)
    assert half.step() == pytest.approx(first.step(), rel=0.05)


def test_without_its_peer_a_network_is_timed_alone():
    rows = list(step.measure(SUBJECT, "float32", None, repeats=1))
    assert [row["name"] for row in rows] == ["conv forward", "conv training step"]
    assert {row["peer"] for row in rows} == {None}


def test_every_network_of_every_paper_has_a_peer_of_its_paper():
    for paper in step.PAPERS:
        module = step.subject_module(paper)
        assert isinstance(module, ModuleType)
        assert module.PEER == f"torch_{paper}"
        assert any("cpu" in groups for groups in module.NAMES.values())
