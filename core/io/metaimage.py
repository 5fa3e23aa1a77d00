"""MetaImage as ITK has it: headers of `.mha` and of `.mhd` with its own data file; an `.mha`.

Source: https://docs.itk.org/en/latest/learn/metaio.html
"""

import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from core import atomic
from core.errors import InputError
from core.io.described import Described, parsing
from core.volume import Volume

LONGEST_LINE = 1 << 16
_KEYS = rb"ObjectType|ObjectSubType|NDims|Comment|TransformType|Name|ID|BinaryData|DimSize"
_START = re.compile(rb"(%s)\s*=" % _KEYS)
_TYPES = {"CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4"}
_TYPES |= {"LONG": "i4", "ULONG": "u4", "LONG_LONG": "i8", "ULONG_LONG": "u8"}
_TYPES |= {"FLOAT": "f4", "DOUBLE": "f8"}
_MATRIX = ("TransformMatrix", "Rotation", "Orientation")
_ORIGIN = ("Offset", "Position", "Origin")
_SPACING = ("ElementSpacing", "ElementSize")
_MSB = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")


def is_metaimage(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a MetaImage header."""
    return _START.match(start) is not None


def read_metaimage(stream: BinaryIO, path: Path) -> Described:
    """What a header says; the stream is left behind it.

    Raises:
      InputError: a field is missing or damaged, or names what is not read.
    """
    fields = _fields(stream)
    with parsing("MetaImage", path):
        sizes = [int(n) for n in fields["DimSize"].split()]
        channels = int(fields.get("ElementNumberOfChannels", 1))
        if int(fields["NDims"]) != len(sizes):
            raise ValueError("NDims and DimSize differ")
        affine = _affine(fields, len(sizes))
        dtype = _dtype(fields, path)
        skip = int(fields.get("HeaderSize", 0))
        function = [
            float(fields.get(f"ElementToIntensityFunction{name}", default))
            for name, default in (("Slope", 1), ("Offset", 0))
        ]
    if not _is_true(fields.get("BinaryData", "True")):
        raise InputError("voxels are text", path=path, hint="save it with binary data")
    if function != [1, 0]:
        # ITK itself leaves it out, so nothing tells what the writer meant.
        raise InputError("has a function of intensity", path=path, hint="save it without")
    # Channels lie next to each other; where there are several, the shape is refused.
    shape = (*sizes, channels) if channels > 1 else tuple(sizes)
    is_packed = _is_true(fields.get("CompressedData", "False"))
    return Described(shape, dtype, affine, is_packed, _data(fields, path), 0, skip)


def write_metaimage(path: Path, volume: Volume) -> None:
    """Write a float32 volume as one compressed file, which appears whole or not at all.

    Args:
      path: `.mha`.
      volume: with its axes in any order and direction.
    """
    packed = zlib.compress(np.ascontiguousarray(volume.array, "<f4").tobytes(), level=6)

    def text(numbers: Iterable[float]) -> str:
        return " ".join(repr(float(number)) for number in numbers)

    # Indices of ITK run along the last axis first; runs of three are the direction of one axis.
    fields = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": True,
        "BinaryDataByteOrderMSB": False,
        "CompressedData": True,
        "CompressedDataSize": len(packed),
        "TransformMatrix": text(volume.direction[:, ::-1].T.ravel()),
        "Offset": text(volume.origin_mm),
        "ElementSpacing": text(volume.spacing_mm[::-1]),
        "DimSize": " ".join(map(str, volume.shape[::-1])),
        "ElementType": "MET_FLOAT",
        "ElementDataFile": "LOCAL",
    }
    header = "".join(f"{name} = {value}\n" for name, value in fields.items())
    atomic.write_bytes(path, header.encode("ascii") + packed)


def _fields(stream: BinaryIO) -> dict[str, str]:
    """Fields up to that of the data, which is the last one."""
    fields = {}
    while line := stream.readline(LONGEST_LINE):
        name, _, value = line.decode("utf-8", "replace").partition("=")
        fields[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            break
    return fields


def _dtype(fields: dict[str, str], path: Path) -> np.dtype:
    name = fields["ElementType"]
    code = _TYPES.get(name.removeprefix("MET_").removesuffix("_ARRAY"))
    if code is None:
        raise InputError(f"unknown voxel type {name!r}", path=path)
    return np.dtype((">" if _is_true(_first(fields, _MSB, "False")) else "<") + code)


def _affine(fields: dict[str, str], num_axes: int) -> NDArray[np.float64]:
    """(4, 4) from indices to LPS; of more axes than three, those of space come first."""
    ones, zeros = " ".join(["1"] * num_axes), " ".join(["0"] * num_axes)
    identity = " ".join(str(int(n)) for n in np.eye(num_axes).ravel())
    spacing = np.array(_first(fields, _SPACING, ones).split(), float)
    origin = np.array(_first(fields, _ORIGIN, zeros).split(), float)
    rows = np.array(_first(fields, _MATRIX, identity).split(), float).reshape(num_axes, num_axes)
    axes = min(num_axes, 3)
    affine = np.eye(4)
    # Each run of numbers is the direction of one axis.
    affine[:axes, :axes] = (rows * spacing[:, None]).T[:axes, :axes]
    affine[:axes, 3] = origin[:axes]
    return affine


def _data(fields: dict[str, str], path: Path) -> str | None:
    name = fields.get("ElementDataFile")
    if not name:
        raise InputError("the MetaImage header names no data file", path=path)
    if name.upper() == "LOCAL":
        return None
    if name.upper().startswith("LIST") or "%" in name:
        raise InputError("voxels lie in several files", path=path, hint="save it as one .mha")
    return name


def _first(fields: dict[str, str], names: tuple[str, ...], default: str) -> str:
    return next((fields[name] for name in names if name in fields), default)


def _is_true(value: str) -> bool:
    return value[:1] in "TtYy1" and value != ""
