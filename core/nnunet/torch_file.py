"""Files of `torch.save`, read without PyTorch: both its zip archives and what it wrote before 1.6.

Tensors stay in the file until they are asked for, so that what a training keeps beside the weights
costs nothing. Source: PyTorch, torch/serialization.py.
"""

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from core.errors import InputError
from core.nnunet.unpickle import ADMITTED, Refused, Table, Unpickler, load

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "Double": "<f8",
    "Float": "<f4",
    "Half": "<f2",
    "Long": "<i8",
    "Int": "<i4",
    "Short": "<i2",
    "Char": "<i1",
    "Byte": "<u1",
    "Bool": "?",
}


class Storage(NamedTuple):
    """Numbers in a file."""

    dtype: np.dtype
    read: Callable[[], bytes]
    """All of its bytes."""


class Tensor(NamedTuple):
    """A strided view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """Both in numbers, not in bytes."""

    def array(self) -> np.ndarray:
        """Its numbers; they are read now.

        Raises:
          ValueError, TypeError: if they reach beyond the storage.
        """
        numbers = np.frombuffer(self.storage.read(), self.storage.dtype)
        itemsize = numbers.itemsize
        strides = [stride * itemsize for stride in self.strides]
        # NumPy refuses a view that leaves the buffer.
        return np.ndarray(self.shape, numbers.dtype, numbers, self.offset * itemsize, strides)


def read(path: str | Path) -> Any:
    """What `torch.save` wrote, with `Tensor` in place of tensors. No code of the file is run.

    Raises:
      InputError: no such file, another format, or one that names more than tensors, plain Python
        and NumPy.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", path=path)
    return _read_archive(path) if zipfile.is_zipfile(path) else _read_legacy(path)


def arrays(tensors: Any, path: Path) -> dict[str, np.ndarray]:
    """Arrays of a state dict, float32; the prefix `module.` of a parallel training is taken off.

    Raises:
      InputError: no state dict of tensors, or a damaged one.
    """
    if not isinstance(tensors, Mapping) or not tensors:
        raise InputError("no weights in this file", path=path)
    if not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise InputError("holds weights that are no tensors", path=path)
    try:
        return {
            name.removeprefix("module."): tensor.array().astype(np.float32)
            for name, tensor in tensors.items()
        }
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"damaged weights ({error})", path=path, hint="fetch it again") from None


def _rebuild(storage: Storage, offset: int, shape: Any, strides: Any, *_: Any) -> Tensor:
    return Tensor(storage, offset, tuple(shape), tuple(strides))


def _first(value: Any, *_: Any) -> Any:
    return value


_TABLE: Table = {
    **ADMITTED,
    **{("torch", f"{kind}Storage"): np.dtype(code) for kind, code in _DTYPES.items()},
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch._utils", "_rebuild_tensor"): _rebuild,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch", "Size"): tuple,
    # Where a training ran: its name alone.
    ("torch", "device"): _first,
}


class _TensorUnpickler(Unpickler):
    """Unpickler of tensors whose numbers lie beside the pickle, under keys."""

    def __init__(self, stream: BinaryIO, storage_of: Callable[[str, np.dtype], Storage]) -> None:
        super().__init__(stream, _TABLE)
        self.storage_of = storage_of

    def persistent_load(self, pid: Any) -> Storage:
        """The storage that an id stands for."""
        kind, dtype, key, *_ = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise Refused(f"it holds a {kind} of {dtype}")
        return self.storage_of(str(key), dtype)


def _read_archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise InputError("an archive that PyTorch did not save", path=path)
        stream = io.BytesIO(archive.read(pickles[0]))
    folder = pickles[0].removesuffix("data.pkl")

    def storage_of(key: str, dtype: np.dtype) -> Storage:
        def numbers() -> bytes:
            with zipfile.ZipFile(path) as archive:
                return archive.read(f"{folder}data/{key}")

        return Storage(dtype, numbers)

    return load(_TensorUnpickler(stream, storage_of), path)


def _read_legacy(path: Path) -> Any:
    """Pickles in a row (magic, version, system, content, keys), then the storages, by the keys."""
    dtypes: dict[str, np.dtype] = {}
    places: dict[str, tuple[int, int]] = {}

    def storage_of(key: str, dtype: np.dtype) -> Storage:
        def numbers() -> bytes:
            start, size = places[key]
            with path.open("rb") as file:
                file.seek(start)
                return file.read(size)

        dtypes[key] = dtype
        return Storage(dtype, numbers)

    with path.open("rb") as file:
        if load(Unpickler(file), path) != LEGACY_MAGIC:
            raise InputError("a file that PyTorch did not save", path=path)
        for _ in ("version", "system"):
            load(Unpickler(file), path)
        content = load(_TensorUnpickler(file, storage_of), path)
        for key in load(Unpickler(file), path):
            size = int.from_bytes(file.read(8), "little") * dtypes[key].itemsize
            places[key] = file.tell(), size
            file.seek(size, io.SEEK_CUR)
    return content
