import os
import pickle
from collections import Counter, OrderedDict

import numpy as np
import pytest

from core.nnunet.unpickle import read_pickle
from tests.refusals import refused


class Runs:
    """Unpickled, it would call something."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


CONTENT = {
    "plain": [1, 2.5, "text", None, True, (1, 2), {3}, b"bytes", 1j, slice(3)],
    "ordered": OrderedDict(b=1, a=2),
    "array": np.arange(6, dtype=np.float32).reshape(2, 3),
    "objects": np.array([[1, 2], None], dtype=object),
    "scalar": np.float64(0.25),
    "integer": np.int64(-3),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_python_and_numpy_are_read_in_every_protocol(protocol, tmp_path):
    (tmp_path / "plans.pkl").write_bytes(pickle.dumps(CONTENT, protocol))
    content = read_pickle(tmp_path / "plans.pkl")
    assert content.keys() == CONTENT.keys()
    for name in ("plain", "ordered", "scalar", "integer"):
        assert content[name] == CONTENT[name]
        assert type(content[name]) is type(CONTENT[name])
    np.testing.assert_array_equal(content["array"], CONTENT["array"])
    assert content["objects"].tolist() == CONTENT["objects"].tolist()


def test_arrays_of_numpy_1_are_read(tmp_path):
    pickled = pickle.dumps(CONTENT["array"], 2).replace(b"numpy._core.", b"numpy.core.")
    (tmp_path / "plans.pkl").write_bytes(pickled)
    np.testing.assert_array_equal(read_pickle(tmp_path / "plans.pkl"), CONTENT["array"])


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (Runs(os.system, "touch ran"), f"{os.name}.system"),
        (Runs(eval, "open('ran', 'w')"), "eval"),
        (Runs(getattr, "", "join"), "getattr"),
        (Counter("aab"), "collections.Counter"),
        ({"deep": [Runs(open, "ran", "w")]}, "open"),
        (os.path.join, "join"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_anything_else_is_refused_by_name_and_not_run(
    content, named, protocol, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "plans.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    with refused(path, "it names", named, hint="any program"):
        read_pickle(path)
    assert not (tmp_path / "ran").exists()


def test_text_in_other_codecs_is_refused(tmp_path):
    path = tmp_path / "plans.pkl"
    # Protocol 2 has no bytes: they are text, encoded by a function that the pickle names.
    path.write_bytes(pickle.dumps(b"\xff", 2).replace(b"latin1", b"rot_13"))
    with refused(path, "rot_13", hint="any program"):
        read_pickle(path)


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(CONTENT)[:-20]])
def test_damage_is_one_line(content, tmp_path):
    path = tmp_path / "plans.pkl"
    path.write_bytes(content)
    with refused(path, "not a readable pickle"):
        read_pickle(path)


def test_a_missing_file_is_named(tmp_path):
    with refused(tmp_path / "plans.pkl", "no such file"):
        read_pickle(tmp_path / "plans.pkl")
