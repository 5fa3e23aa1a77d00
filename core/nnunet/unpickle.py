"""Pickles read without running what they name: plain Python and NumPy arrays, nothing else.

A pickle names functions that are called while it is read. Here a name is only ever looked up in a
table, and one that is not there is refused before anything is called.
"""

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy._core.multiarray import _reconstruct, scalar  # pyright: ignore
from numpy._core.numeric import _frombuffer  # pyright: ignore

from core.errors import InputError


class Refused(pickle.UnpicklingError):
    """A pickle names what is not admitted."""


def _encode(text: str, encoding: str) -> bytes:
    """Bytes as old protocols write them: `codecs.encode`, of the one codec they use."""
    if encoding != "latin1":
        raise Refused(f"text in {encoding}")
    return text.encode("latin1")


_NUMPY = {"_reconstruct": _reconstruct, "scalar": scalar, "_frombuffer": _frombuffer}
_PLAIN = bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, slice
Table = Mapping[tuple[str, str], Any]
ADMITTED: Table = {
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    # NumPy 2 renamed its `core`.
    **{
        (f"numpy.{core}.{module}", name): _NUMPY[name]
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    },
    # Python 2 called the module __builtin__, and protocols up to 2 still do.
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in _PLAIN},
}
"""(module, name) → what it stands for."""


class Unpickler(pickle.Unpickler):
    """`pickle.Unpickler` that knows the names of a table alone."""

    def __init__(self, stream: BinaryIO, table: Table = ADMITTED) -> None:
        super().__init__(stream)
        self.table = table

    def find_class(self, module: str, name: str) -> Any:
        """What a name of the pickle stands for; anything unknown is refused."""
        try:
            return self.table[module, name]
        except KeyError:
            raise Refused(f"it names {module}.{name}") from None


def read_pickle(path: str | Path) -> Any:
    """What a pickle holds.

    Raises:
      InputError: no such file, damaged, or one that names more than plain Python and NumPy.
    """
    path = Path(path)
    try:
        stream = io.BytesIO(path.read_bytes())
    except OSError:
        raise InputError("no such file", path=path) from None
    return load(Unpickler(stream), path)


def load(unpickler: pickle.Unpickler, path: Path) -> Any:
    """What an unpickler reads next of a file, with its errors as one line about the file."""
    try:
        return unpickler.load()
    except Refused as refusal:
        raise InputError(
            f"a pickle that is not read, because {refusal}",
            path=path,
            hint="only plain Python and NumPy are; a pickle can run any program",
        ) from None
    except Exception as error:  # a damaged pickle can raise anything
        raise InputError(f"not a readable pickle ({error})", path=path) from None
