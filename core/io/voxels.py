"""Voxels of an open volume file: slice by slice, scaled; those of labels made whole."""

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.io.hu import INT16, rescale
from core.io.nifti_header import Header, refuse_too_small, scaling, volume_shape, voxel_type
from core.io.remarks import remark
from core.io.volume_file import VolumeFile

ROUNDING = 1e-3
"""Of labels, by arithmetic of floats."""


def scaled_slices(
    file: VolumeFile, path: Path
) -> tuple[Header, tuple[int, int, int], Iterator[NDArray]]:
    """Voxels of an open file.

    Args:
      file: open.
      path: named in errors.

    Returns:
      Its header, its shape (D, H, W), and the scaled values (H, W) of one slice after the other.

    Raises:
      InputError: it is not one volume of one real number each, or ends too early.
    """
    shape, dtype = volume_shape(file.header, path), voxel_type(file.header, path)
    refuse_too_small(dtype, shape, path, file.data)
    slope, intercept = scaling(file.header)
    stored = _slices(file.voxels, dtype, shape, path)
    return file.header, shape, (rescale(values, slope, intercept) for values in stored)


def _slices(
    stream: BinaryIO, dtype: np.dtype, shape: tuple[int, int, int], path: Path
) -> Iterator[NDArray]:
    num_bytes = shape[1] * shape[2] * dtype.itemsize
    for d in range(shape[0]):
        data = stream.read(num_bytes)
        if len(data) < num_bytes:
            # Packed data came to its own end here, so it was written like this.
            is_plain = isinstance(getattr(stream, "raw", None), io.FileIO)
            raise InputError(
                f"the file is truncated: voxels end in slice {d} of {shape[0]}",
                path=path,
                hint="fetch it again" if is_plain else "ask for a whole one: it was written so",
            )
        yield np.frombuffer(data, dtype).reshape(shape[1:])
    try:
        stream.read(1)  # past the last voxel: the checksum is compared only at the end
    except gzip.BadGzipFile as error:
        if not str(error).startswith("Not a gzipped file"):
            raise
        remark(path, "bytes after the end of its gzip data are left out")


def rounding(header: Header) -> float:
    """By how much a whole number may differ from what is stored for it.

    Writers that scale floats to the range of an integer type round to multiples of the slope.
    """
    slope = abs(scaling(header)[0])
    # With a coarser slope the nearest whole number may be that of another id.
    is_scaled = header.get_data_dtype().kind in "iu" and slope < 0.9
    return max(ROUNDING, 0.51 * slope) if is_scaled else ROUNDING


def whole_ids(ids: NDArray, tolerance: float, path: Path) -> NDArray:
    """Ids of a slice, rounded.

    Args:
      ids: as they are stored, scaled.
      tolerance: by which they may differ from whole numbers.
      path: named in errors.

    Raises:
      InputError: one is no whole number of 16 bits.
    """
    if ids.dtype.kind == "f":
        nearest = np.rint(ids)
        # Not "within" is also true of nan and infinity.
        with np.errstate(invalid="ignore"):
            wrong = ids[~(np.abs(ids - nearest) <= tolerance)]
    else:
        nearest, wrong = ids, ids[:0]
    if not wrong.size:
        wrong = ids[(nearest < INT16.min) | (nearest > INT16.max)]
    if wrong.size:
        raise InputError(
            f"a label must be a whole number; found {wrong.flat[0].item()!r}",
            path=path,
            hint="was it resampled with interpolation, or is it the image?",
        )
    return nearest
