"""What `torch.save` writes, without PyTorch: a pickle of names, and the numbers beside it."""

import io
import pickle
import sys
import types
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np

from core.nnunet.torch_file import LEGACY_MAGIC

KINDS = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}


class Tensor:
    """An array that is written as a tensor."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array


def _named(module: types.ModuleType, name: str, value):
    value.__module__, value.__qualname__ = module.__name__, name
    setattr(module, name, value)
    return value


TORCH, UTILS = types.ModuleType("torch"), types.ModuleType("torch._utils")
STORAGES = {kind: _named(TORCH, kind, type(kind, (), {})) for kind in KINDS.values()}
REBUILD = _named(UTILS, "_rebuild_tensor_v2", lambda *args: args)


class _Storage:
    def __init__(self, array: np.ndarray) -> None:
        self.array = array


class _Pickler(pickle.Pickler):
    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, protocol=2)
        self.arrays: dict[str, np.ndarray] = {}

    def reducer_override(self, obj):
        if not isinstance(obj, Tensor):
            return NotImplemented
        array = obj.array
        strides = tuple(stride // array.itemsize for stride in array.strides)
        base = array if array.base is None else array.base
        return REBUILD, (_Storage(base), 0, array.shape, strides, False, {})

    def persistent_id(self, obj):
        if not isinstance(obj, _Storage):
            return None
        key = str(len(self.arrays))
        self.arrays[key] = obj.array
        kind = STORAGES[KINDS[obj.array.dtype.name]]
        return "storage", kind, key, "cpu", obj.array.size


def _pickled(content) -> tuple[bytes, dict[str, np.ndarray]]:
    stream = io.BytesIO()
    pickler = _Pickler(stream)
    with mock.patch.dict(sys.modules, {"torch": TORCH, "torch._utils": UTILS}):
        pickler.dump(content)
    return stream.getvalue(), pickler.arrays


def save(path: Path, content) -> Path:
    """A zip archive, as PyTorch writes since 1.6."""
    pickled, arrays = _pickled(content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, array in arrays.items():
            archive.writestr(f"archive/data/{key}", array.tobytes("A"))
    return path


def save_legacy(path: Path, content) -> Path:
    """Pickles in a row and then the numbers, as PyTorch wrote before."""
    pickled, arrays = _pickled(content)
    before = [pickle.dumps(part, 2) for part in (LEGACY_MAGIC, 1001, {"little_endian": True})]
    keys = sorted(arrays, reverse=True)
    numbers = [arrays[k].size.to_bytes(8, "little") + arrays[k].tobytes("A") for k in keys]
    path.write_bytes(b"".join([*before, pickled, pickle.dumps(keys, 2), *numbers]))
    return path
