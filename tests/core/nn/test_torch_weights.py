import sys

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from core.errors import InputError
from core.nn import torch_weights
from core.nn.torch_weights import export, fill, read, torchvision_resnet, unwrapped
from tests.refusals import refused


def normal(seed, shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def state_dict():
    return {
        "conv.weight": normal(0, (5, 3, 3, 2)),
        "norm.weight": normal(1, (5,)),
        "norm.bias": normal(2, (5,)),
        "norm.running_mean": normal(3, (5,)),
        "norm.running_var": normal(4, (5,)),
        "norm.num_batches_tracked": np.array(7),
        "fc.weight": normal(5, (4, 5)),
    }


TEMPLATE = {
    "params": {
        "conv": {"kernel": np.zeros((3, 2, 3, 5))},
        "norm": {"scale": np.zeros(5), "bias": np.zeros(5)},
        "fc": {"kernel": np.zeros((5, 4))},
    },
    "batch_stats": {"norm": {"mean": np.zeros(5), "var": np.zeros(5)}},
}


@pytest.fixture
def tensors(tmp_path):
    save_file(state_dict(), tmp_path / "net.safetensors")
    return read(tmp_path / "net.safetensors")


def test_a_tree_is_filled_by_name_in_our_layout(tensors):
    tree = fill(TEMPLATE, tensors, ".".join)
    source = state_dict()
    np.testing.assert_array_equal(
        tree["params"]["conv"]["kernel"], source["conv.weight"].transpose(2, 3, 1, 0)
    )
    np.testing.assert_array_equal(tree["params"]["fc"]["kernel"], source["fc.weight"].T)
    np.testing.assert_array_equal(tree["params"]["norm"]["scale"], source["norm.weight"])
    np.testing.assert_array_equal(tree["batch_stats"]["norm"]["var"], source["norm.running_var"])


def test_export_inverts_fill(tensors):
    exported = export(fill(TEMPLATE, tensors, ".".join), ".".join)
    assert exported.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(exported[name], tensor)


def test_the_prefix_of_a_parallel_training_is_taken_off(tmp_path):
    plain = state_dict()
    save_file({f"module.{n}": t for n, t in plain.items()}, tmp_path / "net.safetensors")
    assert set(read(tmp_path / "net.safetensors")) == set(plain) - {"norm.num_batches_tracked"}


def test_half_precision_is_read_as_float32(tmp_path):
    save_file({"a": normal(0, (3,)).astype(np.float16)}, tmp_path / "net.safetensors")
    assert read(tmp_path / "net.safetensors")["a"].dtype == np.float32


def test_missing_tensors_are_named_a_few_and_counted(tensors):
    with refused("net", "missing", "fc.weight", hint="width"):
        fill(TEMPLATE, {n: t for n, t in tensors.items() if n != "fc.weight"}, ".".join, path="net")
    with refused(None, "conv.weight", "norm.bias", "fc.weight and 2 ", hint="width"):
        fill(TEMPLATE, {}, ".".join)


def test_left_over_tensors_are_named(tensors):
    with refused(None, "not part of", "more.weight", hint="width"):
        fill(TEMPLATE, {**tensors, "more.weight": normal(0, (1,))}, ".".join)


@pytest.mark.parametrize("wrong", [(4, 3, 3, 2), (5,)])
def test_tensors_of_another_shape_are_named(tensors, wrong):
    message = rf"of another shape than in this network: conv.weight \({wrong[0]},.*\);"
    with pytest.raises(InputError, match=message):
        fill(TEMPLATE, {**tensors, "conv.weight": normal(0, wrong)}, ".".join)


def test_a_missing_file_is_refused(tmp_path):
    with refused(tmp_path / "none.pth", "no such file"):
        read(tmp_path / "none.pth")


def test_an_unknown_ending_is_refused(tmp_path):
    (tmp_path / "net.h5").write_bytes(b"")
    with refused(tmp_path / "net.h5", "ending '.h5'", hint=".safetensors"):
        read(tmp_path / "net.h5")


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "net.safetensors").write_bytes(b"damaged")
    with refused(tmp_path / "net.safetensors", "not a safetensors file"):
        read(tmp_path / "net.safetensors")


def test_a_file_without_tensors_is_refused(tmp_path):
    save_file({}, tmp_path / "net.safetensors")
    with refused(tmp_path / "net.safetensors", "no tensors"):
        read(tmp_path / "net.safetensors")


def test_pickled_weights_without_pytorch_say_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "net.pth").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    with refused(tmp_path / "net.pth", "PyTorch", hint="pip install 'panjax[torch]'"):
        read(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (("stem", "conv"), "conv1"),
        (("stem", "norm"), "bn1"),
        (("layer3_22", "conv2", "conv"), "layer3.22.conv2"),
        (("layer3_22", "conv2", "norm"), "layer3.22.bn2"),
        (("layer1_0", "shortcut", "conv"), "layer1.0.downsample.0"),
        (("layer1_0", "shortcut", "norm"), "layer1.0.downsample.1"),
        (("fc",), "fc"),
    ],
)
def test_names_of_torchvision(module, name):
    assert torchvision_resnet(module) == name


@pytest.mark.parity
class TestPickles:
    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")

    @pytest.mark.parametrize("wrap", [lambda d: d, lambda d: {"state_dict": d, "epoch": 3}])
    def test_a_pickled_state_dict_equals_its_safetensors(self, torch, tmp_path, tensors, wrap):
        saved = {f"module.{n}": torch.tensor(t) for n, t in state_dict().items()}
        torch.save(wrap(saved), tmp_path / "net.pth")
        loaded = read(tmp_path / "net.pth")
        assert loaded.keys() == tensors.keys()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(loaded[name], tensor)

    def test_bfloat16_is_read_as_float32(self, torch, tmp_path):
        torch.save({"a": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "net.pt")
        np.testing.assert_array_equal(read(tmp_path / "net.pt")["a"], np.ones(2, np.float32))

    def test_a_pickle_with_code_in_it_is_refused(self, torch, tmp_path):
        torch.save({"a": print}, tmp_path / "net.pth")
        with refused(tmp_path / "net.pth", "not a file of PyTorch"):
            read(tmp_path / "net.pth")

    def test_a_pickle_of_something_else_is_refused(self, torch, tmp_path):
        torch.save({"epoch": 3}, tmp_path / "net.pth")
        with refused(tmp_path / "net.pth", "state dict", hint="state_dict()"):
            read(tmp_path / "net.pth")


@pytest.mark.parametrize("prefix", ["backbone.", "model.", "net.encoder.", "module.model.0.", "x."])
def test_a_prefix_that_all_tensors_share_is_taken_off(tensors, tmp_path, prefix):
    save_file({f"{prefix}{n}": t for n, t in state_dict().items()}, tmp_path / "p.safetensors")
    wrapped = read(tmp_path / "p.safetensors")
    for ours, theirs in zip(
        *(jax.tree.leaves(fill(TEMPLATE, t, ".".join)) for t in (wrapped, tensors)), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_prefix_that_some_tensors_lack_stays_and_the_first_names_are_shown(tensors):
    wrapped = {f"student.{n}": t for n, t in tensors.items()} | {"queue": normal(0, (2,))}
    with refused("net", "conv.weight", "the file has student.", "and 3 more", hint="width"):
        fill(TEMPLATE, wrapped, ".".join, path="net")


def test_known_names_keep_the_prefix_that_they_share():
    tensors = {"features.0.weight": 0, "features.1.weight": 0}
    assert unwrapped(tensors, lambda inner: "features.0.weight" in inner) == tensors
    assert unwrapped(tensors, lambda inner: "0.weight" in inner) == {"0.weight": 0, "1.weight": 0}
    assert unwrapped(tensors, lambda inner: False) == tensors


@pytest.mark.parametrize(
    "wrap",
    [
        lambda d: {"state_dict": d, "optimizer": {"state": {}}, "epoch": 3},
        lambda d: {"model_state_dict": d, "optimizer_state_dict": {"state": {}}},
        lambda d: {"model": d, "args": None},
        lambda d: {"network_weights": d, "trainer_name": "x"},
        lambda d: {"net": {"state_dict": d}},
        lambda d: {"backbone": d, "head": {"weight": np.zeros(3)}},
    ],
)
@pytest.mark.parametrize("ending", [".pth", ".ckpt", ".pth.tar", ".pt", ".bin"])
def test_a_state_dict_is_found_in_what_trainings_keep_around_it(
    tensors, tmp_path, monkeypatch, wrap, ending
):
    path = tmp_path / f"net{ending}"
    path.touch()
    monkeypatch.setattr(torch_weights, "_pickled", lambda path: wrap(state_dict()))
    assert read(path).keys() == tensors.keys()
