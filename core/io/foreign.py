"""Formats that are not read, told by content: what a file is, and what to do with it.

Told apart are those that promise a scan, which then has failed, from those that hold anything.
"""

import bz2
import contextlib
import gzip
import lzma
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np
import scipy.io

from core.io.nifti_header import header_class
from core.io.nrrd import MAGIC as NRRD

_LOOK = 512
_TO_NIFTI = "convert it to NIfTI"


class Foreign(NamedTuple):
    """A file of a format that is not read.

    Args:
      reason: what it is, and what to do.
      is_broken: whether it promises a scan.
    """

    reason: str
    is_broken: bool


_PACKED: Mapping[bytes, tuple[str, str, Callable]] = {
    b"\x1f\x8b": ("gzip", "gunzip", gzip.open),
    b"BZh": ("bzip2", "bunzip2", bz2.open),
    b"\xfd7zXZ\x00": ("xz", "unxz", lzma.open),
}
_ARCHIVES = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it first",
    b"Rar!\x1a\x07": "a rar archive; unpack it first",
    b"\x28\xb5\x2f\xfd": "packed with zstd; unpack it first (unzstd)",
}
_ARRAYS = (b"\x93NUMPY", b"PK", b"MATLAB ")
# Formats whose first bytes do not tell them from anything.
_VOLUMES = {
    ".mgh": "a FreeSurfer volume (MGH)",
    ".mnc": "a MINC volume",
    ".gipl": "a GIPL volume",
    ".par": "the header of a Philips PAR/REC pair",
}
_RAW = (".raw", ".zraw", ".img", ".rec", ".bin")


def foreign(path: Path, start: bytes) -> Foreign | None:
    """What a file is that is neither DICOM nor a volume that is read; None where nothing tells.

    Args:
      path: of a file that can be read.
      start: its first bytes.
    """
    for magic, reason in _ARCHIVES.items():
        if start.startswith(magic):
            return Foreign(reason, True)
    for magic, (name, tool, unpack) in _PACKED.items():
        if start.startswith(magic):
            return _packed(path, name, tool, unpack)
    return _array(path, start) if start.startswith(_ARRAYS) else _by_name(path)


def _packed(path: Path, name: str, tool: str, unpack: Callable) -> Foreign:
    """A packed file, by what it holds."""
    inside = b""
    with contextlib.suppress(OSError, EOFError, lzma.LZMAError), unpack(path) as stream:
        inside = stream.read(_LOOK)
    what = _scan_in(inside)
    if what == "a FreeSurfer volume" and name == "gzip":
        return Foreign(f"a FreeSurfer volume (MGZ); {_TO_NIFTI}", True)
    if what == "a tar archive":
        return Foreign("a packed tar archive; unpack it first (tar xf)", True)
    if what:
        return Foreign(f"{what}, packed with {name}; unpack it first ({tool})", True)
    return Foreign(f"packed with {name}, and neither NIfTI nor DICOM", False)


def _scan_in(start: bytes) -> str:
    """Name of what promises a scan by the first bytes of its unpacked data; empty if nothing."""
    if start[128:132] == b"DICM":
        return "a DICOM file"
    if start[257:262] == b"ustar":
        return "a tar archive"
    if header_class(start[:4]) is not None:
        return "a NIfTI image"
    if start.startswith(NRRD):
        return "an NRRD image"
    # Version 1, then three axes and their frames.
    sizes = np.frombuffer(start[:20].ljust(20, b"\0"), ">i4")
    is_mgh = sizes[0] == 1 and ((sizes[1:] > 0) & (sizes[1:] < 1 << 15)).all()
    return "a FreeSurfer volume" if is_mgh else ""


def _array(path: Path, start: bytes) -> Foreign | None:
    """Arrays of NumPy and MATLAB; those of three axes promise a scan."""
    shapes: list[tuple[int, ...]] = []
    name = ""
    with contextlib.suppress(Exception):  # damaged: told as without a volume
        if start.startswith(_ARRAYS[0]):
            name = "a NumPy array"
            with path.open("rb") as file:
                shapes = [_npy_shape(file)]
        elif path.suffix.lower() == ".npz":
            name = "NumPy arrays"
            with zipfile.ZipFile(path) as packed:
                for member in packed.namelist():
                    with packed.open(member) as file:
                        shapes.append(_npy_shape(cast(BinaryIO, file)))
        elif start.startswith(b"MATLAB 5.0"):
            name = "a MATLAB file"
            shapes = [shape for _, shape, _ in scipy.io.whosmat(path)]
        elif start.startswith(b"MATLAB 7.3"):
            return Foreign(f"a MATLAB file (HDF5); {_TO_NIFTI}", True)
    if not name:
        return None
    is_volume = any(sum(n > 1 for n in shape) >= 3 for shape in shapes)
    what = "without position in space; " + _TO_NIFTI if is_volume else "without a volume"
    return Foreign(f"{name}, {what}", is_volume)


def _npy_shape(file: BinaryIO) -> tuple[int, ...]:
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    return read(file)[0]


def _by_name(path: Path) -> Foreign | None:
    """Formats without first bytes of their own."""
    suffix = path.suffix.lower()
    if suffix not in (*_VOLUMES, *_RAW, ".tar", ".iso"):
        return None
    with path.open("rb") as file:
        start = file.read(_LOOK)
    if start[128:132] == b"DICM":
        return None
    if suffix in _VOLUMES:
        return Foreign(f"{_VOLUMES[suffix]}; {_TO_NIFTI}", True)
    if start[257:262] == b"ustar":
        return Foreign("a tar archive; unpack it first (tar xf)", True)
    if suffix == ".iso":
        return Foreign("the image of a disc; open it, and give its folder", True)
    return (
        Foreign("voxels alone, read through the header beside them", False)
        if suffix in _RAW
        else None
    )
