"""Prepared cases on disk: whole or absent, and read a patch at a time.

A case is a folder of plain `.npy` files in C order and a `case.json`. A patch of 64³ from a scan of
512×512×667 in int16 touches one run of 64 kB in each of 64 slices; in float32 it would be twice
that, so scans are kept as whole HU and normalised when a patch is read.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core import atomic
from core.errors import InputError

FORMAT = 4
"""Another number makes every case anew: 4 keeps what its scans are like."""


@dataclass(frozen=True)
class DiskArray:
    """An array in a file, mapped into memory only while it is being indexed.

    A map that stays open holds a file descriptor, and a cohort of 439 cases has more arrays than a
    process may open files.

    Args:
      path: `.npy` file in C order.
      shape: of the array.
      dtype: of the array.
      offset: bytes before the first element.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        """What a numpy array gives for `index`; only the pages it touches are read."""
        mapped = np.memmap(self.path, self.dtype, "r", self.offset, self.shape)
        return np.asarray(mapped)[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        return np.array(self[...], dtype=dtype, copy=copy)


Stored = NDArray | DiskArray
"""Voxels in memory or on disk; indexing gives an array."""


class CachedCase(NamedTuple):
    """A prepared case.

    Args:
      id: of the case.
      source: `source_of` the files it was made from.
      arrays: on disk, by name.
      meta: what was stored beside them.
    """

    id: str
    source: str
    arrays: Mapping[str, DiskArray]
    meta: Mapping[str, Any]


def source_of(files: Iterable[Path], labels: Mapping[str, str] | None = None) -> str:
    """Identity of the files a case is made from: name, size and time of change of each.

    Args:
      files: all of them.
      labels: what the user says that label names mean, which decides the label as well.

    Hashing the content of hundreds of scans would take minutes at every start. This way a data set
    copied without its times is prepared again; a stale case is never taken for a good one.

    Raises:
      InputError: if a file is not there.
    """
    rows = []
    for path in sorted(files):
        try:
            status = path.stat()
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", path=path) from error
        rows.append((path.name, status.st_size, status.st_mtime_ns))
    key = [FORMAT, rows, *([sorted(labels.items())] if labels else [])]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]


def write_case(
    folder: Path, id: str, arrays: Mapping[str, NDArray], meta: Mapping[str, Any], *, source: str
) -> None:
    """Write a case aside, then rename it; one that is there already is replaced.

    Args:
      folder: of the cache.
      id: of the case; names its folder.
      arrays: by name.
      meta: numbers, texts, lists and dicts of them.
      source: `source_of` the files it was made from.

    Raises:
      InputError: if the id cannot name a folder.
    """
    target = _case_folder(folder, id)
    with atomic.aside(target) as temporary:
        temporary.mkdir()
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
        stored = {"id": id, "source": source, "arrays": list(arrays), "meta": dict(meta)}
        text = json.dumps(stored, indent=2, allow_nan=False)
        (temporary / "case.json").write_text(text + "\n", encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)


def open_case(folder: Path, id: str) -> CachedCase:
    """Open a prepared case; its arrays stay on disk.

    Args:
      folder: of the cache.
      id: of the case.

    Raises:
      InputError: if the case is not there or damaged.
    """
    target = _case_folder(folder, id)
    try:
        stored = json.loads((target / "case.json").read_text(encoding="utf-8"))
        arrays = {name: _on_disk(target / f"{name}.npy") for name in stored["arrays"]}
    except FileNotFoundError:
        raise InputError("is no prepared case", path=target, hint="run prepare") from None
    except ValueError as error:
        raise InputError(f"is damaged ({error})", path=target, hint="run prepare") from error
    return CachedCase(id, stored["source"], arrays, stored["meta"])


def is_current(folder: Path, id: str, source: str) -> bool:
    """Whether a case is there, whole, and made from just these files."""
    try:
        return open_case(folder, id).source == source
    except InputError:
        return False


def _case_folder(folder: Path, id: str) -> Path:
    if not id or id.startswith(".") or Path(id).name != id:
        raise InputError(f"the case id {id!r} cannot name a folder", hint="rename the case")
    return folder / id


def _on_disk(path: Path) -> DiskArray:
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    return DiskArray(path, mapped.shape, mapped.dtype, mapped.offset)
