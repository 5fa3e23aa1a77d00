"""NIfTI files in and out: slice by slice, so that no copy in a wider type ever exists.

A file stores (x, y, z) with x fastest, which is (D, H, W) in C order: nothing is transposed.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from core.atomic import aside
from core.errors import InputError
from core.io.hu import AIR_HU, INT16, rescale, stack
from core.io.hu_check import require_hu
from core.io.nifti_header import (
    Header,
    affine_ras,
    opened,
    read_header,
    scaling,
    volume_shape,
    voxel_type,
)
from core.io.remarks import remark
from core.volume import RAS_FROM_LPS, Volume, from_affine_lps

FLOAT32_MAX = np.finfo(np.float32).max
ROUNDING = 1e-3
"""Of labels, by arithmetic of floats."""


def read(path: str | Path) -> Volume:
    """CT of a NIfTI file, in the orientation it is stored in.

    Voxels that are no number become air, with a remark.

    Args:
      path: a `.nii` or `.nii.gz` file under any name.

    Returns:
      HU (D, H, W): int16 where every value is an integer by type and fits, else float32.

    Raises:
      InputError: the file is not one readable volume; the line says why.
    """
    path = Path(path)
    num_bad = 0

    def finite(values: NDArray) -> NDArray:
        nonlocal num_bad
        # Not "within" is also true of nan; and a broken slope can pass float32.
        if values.dtype.kind != "f" or not (bad := ~(np.abs(values) <= FLOAT32_MAX)).any():
            return values
        num_bad += np.count_nonzero(bad)
        return np.where(bad, AIR_HU, values)

    with opened(path) as stream:
        header, shape, slices = _open(stream, path)
        array = stack(map(finite, slices), shape)
    if num_bad:
        remark(path, f"{num_bad} voxels were no number and are now air")
    return _place(require_hu(array, path), header, path)


def read_label(path: str | Path) -> Volume:
    """Integer labels of a NIfTI file, in the orientation it is stored in.

    Returns:
      Ids (D, H, W): uint8 where all are in 0..255, else int16. Floats are accepted where they are
      whole up to rounding, that of the header's slope as well.

    Raises:
      InputError: the file is not one readable volume, or a value is not a whole number.
    """
    path = Path(path)
    with opened(path) as stream:
        header, shape, slices = _open(stream, path)
        array = np.empty(shape, np.int16)
        tolerance = _rounding(header)
        for d, ids in enumerate(slices):
            array[d] = _whole(ids, tolerance, path)
    small = array.min() >= 0 and array.max() <= np.iinfo(np.uint8).max
    return _place(array.astype(np.uint8) if small else array, header, path)


def read_grid(path: str | Path) -> Volume:
    """Geometry of a NIfTI file from its header alone, with voxels that take no memory."""
    path = Path(path)
    with opened(path) as stream:
        header = read_header(stream, path)
    shape = volume_shape(header, path)
    voxel_type(header, shape, path)
    return _place(np.broadcast_to(np.uint8(0), shape), header, path)


def write(path: str | Path, volume: Volume) -> Path:
    """Write a volume; the file appears whole or not at all.

    Args:
      path: gzip is used where it ends in `.gz`.
      volume: any real dtype that NIfTI has; bool is stored as uint8.

    Returns:
      The path written.
    """
    header = nib.Nifti1Header()
    header.set_data_shape(volume.shape[::-1])
    header.set_xyzt_units("mm")
    affine = RAS_FROM_LPS @ volume.affine_lps[:, [2, 1, 0, 3]]
    header.set_sform(affine, 1)
    # A qform holds no shear: a grid that has one is described by the sform alone.
    cosines = volume.direction.T @ volume.direction
    header.set_qform(affine, 1 if np.allclose(cosines, np.eye(3), atol=1e-4) else 0)
    return _save(path, header, volume.array)


def write_like(path: str | Path, array: NDArray, source_path: str | Path) -> Path:
    """Write an array with the very header geometry of another NIfTI file.

    Dimensions, sform, qform, their codes and the voxel sizes are the source's bytes. Free text and
    extensions are not carried over: they may name the patient.

    Args:
      path: gzip is used where it ends in `.gz`.
      array: voxels (D, H, W), as `read(source_path)` orders them.
      source_path: the file whose grid it is.

    Returns:
      The path written.
    """
    source_path = Path(source_path)
    with opened(source_path) as stream:
        header = read_header(stream, source_path)
    shape = volume_shape(header, source_path)
    if array.shape != shape:
        raise ValueError(f"array {array.shape} does not fit {source_path} with shape {shape}")
    for field in ("descrip", "aux_file", "intent_name", "db_name"):
        if field in header.keys():
            header[field] = b""
    header["cal_min"] = header["cal_max"] = 0
    header["intent_code"] = 0
    return _save(path, header, array)


def _open(stream: BinaryIO, path: Path) -> tuple[Header, tuple[int, int, int], Iterator[NDArray]]:
    """Header, shape, and the scaled values (H, W) of one slice after the other."""
    header = read_header(stream, path)
    shape = volume_shape(header, path)
    stored = _slices(stream, voxel_type(header, shape, path), shape, path)
    slope, intercept = scaling(header)
    return header, shape, (rescale(values, slope, intercept) for values in stored)


def _slices(
    stream: BinaryIO, dtype: np.dtype, shape: tuple[int, int, int], path: Path
) -> Iterator[NDArray]:
    num_bytes = shape[1] * shape[2] * dtype.itemsize
    for d in range(shape[0]):
        data = stream.read(num_bytes)
        if len(data) < num_bytes:
            raise InputError(
                f"the file is truncated: voxels end in slice {d} of {shape[0]}",
                path=path,
                hint="fetch it again",
            )
        yield np.frombuffer(data, dtype).reshape(shape[1:])
    stream.read(1)  # past the last voxel: gzip compares its checksum only at the end


def _rounding(header: Header) -> float:
    """By how much a whole number may differ from what is stored for it.

    Writers that scale floats to the range of an integer type round to multiples of the slope.
    """
    slope = abs(scaling(header)[0])
    # With a coarser slope the nearest whole number may be that of another id.
    is_scaled = header.get_data_dtype().kind in "iu" and slope < 0.9
    return max(ROUNDING, 0.51 * slope) if is_scaled else ROUNDING


def _whole(ids: NDArray, tolerance: float, path: Path) -> NDArray:
    """Ids of a slice, rounded; refuses what is no whole number."""
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


def _place(array: NDArray, header: Header, path: Path) -> Volume:
    affine = RAS_FROM_LPS @ affine_ras(header, path)
    try:
        return from_affine_lps(array, affine[:, [2, 1, 0, 3]])
    except ValueError as error:
        raise InputError(f"the geometry is damaged ({error})", path=path) from None


def _save(path: str | Path, header: Header, array: NDArray) -> Path:
    path = Path(path)
    stored = array.view(np.uint8) if array.dtype == np.bool_ else array
    header.set_data_dtype(stored.dtype)
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["vox_offset"] = 0  # nibabel puts the smallest that its header needs
    voxels = np.ascontiguousarray(stored, header.get_data_dtype())
    with aside(path) as temporary, temporary.open("wb") as raw:
        if path.suffix == ".gz":
            # No name and no time inside: equal voxels give equal bytes.
            with gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed:
                header.write_to(packed)
                packed.write(voxels.data)
        else:
            header.write_to(raw)
            raw.write(voxels.data)
    return path
