"""Headers of NRRD, as 3D Slicer and teem write them: `.nrrd`, and `.nhdr` with its own data file.

Source: https://teem.sourceforge.net/nrrd/format.html
"""

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.io.described import Described, parsing
from core.io.remarks import remark

MAGIC = b"NRRD000"
LONGEST_LINE = 1 << 20
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: code for code, names in _TYPES.items() for name in names}
_PACKED = {"raw": False, "gz": True, "gzip": True}
_BYTE_ORDERS = {"little": "<", "big": ">"}
# To LPS; a space that names no patient is taken for LPS, as ITK does.
_SPACES = {"right-anterior-superior": (-1, -1, 1), "left-anterior-superior": (1, -1, 1)}
_SPACES |= {"ras": (-1, -1, 1), "las": (1, -1, 1)}
_PATIENT = {*_SPACES, "left-posterior-superior", "lps"}


def read_nrrd(stream: BinaryIO, path: Path) -> Described:
    """What a header says; the stream is left behind it.

    Raises:
      InputError: a field is missing or damaged, or names what is not read.
    """
    fields = _fields(stream)
    with parsing("NRRD", path):
        sizes = [int(n) for n in fields["sizes"].split()]
        if int(fields["dimension"]) != len(sizes):
            raise ValueError("dimension and sizes differ")
        spatial, affine = _placed(fields, len(sizes), path)
        dtype = _dtype(fields, path)
        skips = [int(fields.get(f"{what} skip", 0)) for what in ("line", "byte")]
    encoding = fields.get("encoding", "").lower()
    if encoding not in _PACKED:
        raise InputError(f"voxels are encoded as {encoding!r}", path=path, hint="save it as gzip")
    # Axes that are not of space come last, as NIfTI has them.
    others = [n for axis, n in enumerate(sizes) if axis not in spatial and n > 1]
    shape = (*(sizes[axis] for axis in spatial), *others)
    return Described(shape, dtype, affine, _PACKED[encoding], _data(fields, path), *skips)


def _fields(stream: BinaryIO) -> dict[str, str]:
    """Fields up to the empty line, or to the end of a header by itself."""
    fields = {}
    while line := stream.readline(LONGEST_LINE).decode("utf-8", "replace").strip():
        name, colon, value = line.partition(": ")
        if colon and not line.startswith("#") and ":=" not in name:
            fields[name.strip().lower().replace("datafile", "data file")] = value.strip()
    return fields


def _dtype(fields: dict[str, str], path: Path) -> np.dtype:
    code = _DTYPES.get(fields["type"].lower())
    if code is None:
        raise InputError(f"unknown voxel type {fields['type']!r}", path=path)
    order = "|" if code[1] == "1" else _BYTE_ORDERS.get(fields.get("endian", "").lower())
    if order is None:
        raise InputError("the NRRD header does not tell the order of bytes", path=path)
    return np.dtype(order + code)


def _placed(
    fields: dict[str, str], num_axes: int, path: Path
) -> tuple[list[int], NDArray[np.float64]]:
    """Axes in space, and the affine from their indices to LPS."""
    if set(re.findall(r"\w+", fields.get("space units", "mm"))) != {"mm"}:
        raise InputError("lengths are not in mm", path=path, hint="convert them to mm")
    affine = np.eye(4)
    if "space directions" not in fields:
        spacings = [float(s) for s in fields.get("spacings", "").split()] or [1.0] * num_axes
        spatial = [a for a, s in enumerate(spacings) if np.isfinite(s)][:3]
        affine[: len(spatial), : len(spatial)] = np.diag([spacings[axis] for axis in spatial])
        remark(path, "the header has no orientation; axes are taken as L, P, S")
        return spatial, affine
    tokens = re.findall(r"none|\([^)]*\)", fields["space directions"])
    vectors = {axis: _vector(token) for axis, token in enumerate(tokens) if token != "none"}
    vectors = {axis: vector for axis, vector in vectors.items() if np.isfinite(vector).all()}
    space = fields.get("space", "").lower()
    if len(tokens) != num_axes or any(len(vector) != 3 for vector in vectors.values()):
        raise ValueError("space directions do not fit the axes")
    if space not in _PATIENT:
        remark(path, f"its space is {space or 'not named'!r}; directions are taken as LPS")
    columns = [*list(vectors.values())[:3], _vector(fields.get("space origin", "(0,0,0)"))]
    signs = np.array(_SPACES.get(space, (1, 1, 1)))
    affine[:3, [*range(len(columns) - 1), 3]] = signs[:, None] * np.transpose(columns)
    return list(vectors)[:3], affine


def _vector(token: str) -> list[float]:
    return [float(value) for value in token.strip("()").split(",")]


def _data(fields: dict[str, str], path: Path) -> str | None:
    name = fields.get("data file")
    if name and (name.upper().startswith("LIST") or "%" in name):
        raise InputError("voxels lie in several files", path=path, hint="save it as one .nrrd")
    if name is None and path.suffix.lower() == ".nhdr":
        raise InputError("the NRRD header names no data file", path=path)
    return name
