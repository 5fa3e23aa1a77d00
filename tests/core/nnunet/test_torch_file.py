import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from core.nnunet import torch_file
from tests.core.nnunet.test_unpickle import Runs
from tests.core.nnunet.torch_writer import Tensor, save, save_legacy
from tests.refusals import refused

WEIGHTS = {
    "a.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "a.turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "b.half": np.array([0.5, -2.0], np.float16),
    "steps": np.array(7),
}
CONTENT = {
    "state_dict": OrderedDict((name, Tensor(array)) for name, array in WEIGHTS.items()),
    "epoch": 3,
    "losses": [np.float64(0.5)],
}


@pytest.fixture(params=[save, save_legacy])
def path(request, tmp_path):
    return request.param(tmp_path / "checkpoint.pth", CONTENT)


def test_tensors_are_read_in_their_shape_and_as_float32(path):
    content = torch_file.read(path)
    assert content["epoch"] == 3
    assert content["losses"] == [0.5]
    arrays = torch_file.arrays(content["state_dict"], path)
    assert arrays.keys() == WEIGHTS.keys()
    for name, array in arrays.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, WEIGHTS[name])


def test_the_prefix_of_a_parallel_training_is_taken_off(tmp_path):
    weights = {"module.a": Tensor(WEIGHTS["a.weight"])}
    path = save(tmp_path / "checkpoint.pth", weights)
    assert list(torch_file.arrays(torch_file.read(path), path)) == ["a"]


@pytest.mark.parametrize("write", [save, save_legacy])
def test_code_is_refused_and_not_run(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "checkpoint.pth", {"hook": Runs(os.system, "touch ran")})
    with refused(path, "it names", "system", hint="any program"):
        torch_file.read(path)
    assert not (tmp_path / "ran").exists()


def rewritten(path, *, numbers=None, rename=(b"", b"")):
    """The archive with other numbers, or none, and another name in its pickle."""
    with zipfile.ZipFile(path) as archive:
        pickled = archive.read("archive/data.pkl").replace(*rename)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        if numbers is not None:
            archive.writestr("archive/data/0", numbers)
    return path


@pytest.mark.parametrize("numbers", [None, bytes(4 * 23)], ids=["missing", "too few"])
def test_tensors_without_all_of_their_numbers_are_damage(numbers, tmp_path):
    path = save(tmp_path / "checkpoint.pth", {"a": Tensor(WEIGHTS["a.weight"])})
    rewritten(path, numbers=numbers)
    with refused(path, "damaged weights", hint="fetch"):
        torch_file.arrays(torch_file.read(path), path)


@pytest.mark.parametrize("weights", [{}, None, {"a": 3}])
def test_what_is_no_state_dict_is_refused(weights, tmp_path):
    with refused(tmp_path, "weights"):
        torch_file.arrays(weights, tmp_path)


def test_other_files_are_refused(tmp_path):
    with refused(tmp_path / "none.pth", "no such file"):
        torch_file.read(tmp_path / "none.pth")
    other = tmp_path / "other.pth"
    other.write_bytes(pickle.dumps(5))
    with refused(other, "PyTorch did not save"):
        torch_file.read(other)
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", "no weights")
    with refused(other, "PyTorch did not save"):
        torch_file.read(other)


def test_storages_of_unknown_numbers_are_refused(tmp_path):
    path = save(tmp_path / "checkpoint.pth", {"a": Tensor(WEIGHTS["a.weight"])})
    rewritten(path, rename=(b"FloatStorage", b"ComplexStorage"))
    with refused(path, "torch.ComplexStorage", hint="any program"):
        torch_file.read(path)
