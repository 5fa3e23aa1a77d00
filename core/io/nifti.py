"""Volumes in from NIfTI, NRRD and MetaImage, and out as NIfTI: slice by slice, in no wider type.

A file stores (x, y, z) with x fastest, which is (D, H, W) in C order: nothing is transposed.
"""

import gzip
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from core.atomic import aside
from core.errors import InputError
from core.io.hu import AIR_HU, stack
from core.io.hu_check import require_hu
from core.io.hu_values import FEWEST, label_map
from core.io.nifti_header import (
    Header,
    affine_ras,
    set_grid,
    volume_shape,
)
from core.io.remarks import remark
from core.io.volume_file import open_volume
from core.io.voxels import rounding, scaled_slices, whole_ids
from core.volume import RAS_FROM_LPS, Volume, from_affine_lps

FLOAT32_MAX = np.finfo(np.float32).max
UINT8 = np.iinfo(np.uint8)


def read(path: str | Path) -> Volume:
    """CT of a file, in the orientation it is stored in.

    Voxels that are no number become air, with a remark.

    Args:
      path: a file of NIfTI, NRRD or MetaImage under any name.

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

    with open_volume(path) as file:
        header, shape, slices = scaled_slices(file, path)
        array = stack(map(finite, slices), shape)
    if num_bad:
        remark(path, f"{num_bad} voxels were no number and are now air")
    return _place(require_hu(array, path), header, path)


def read_label(path: str | Path) -> Volume:
    """Integer labels of a file, in the orientation it is stored in.

    Returns:
      Ids (D, H, W): uint8 where all are in 0..255, else int16. Floats are accepted where they are
      whole up to rounding, that of the header's slope as well.

    Raises:
      InputError: the file is not one readable volume, or a value is not a whole number.
    """
    path = Path(path)
    with open_volume(path) as file:
        header, shape, slices = scaled_slices(file, path)
        array = np.empty(shape, np.uint8)
        tolerance = rounding(header)
        for d, values in enumerate(slices):
            ids = whole_ids(values, tolerance, path)
            if array.dtype == np.uint8 and not 0 <= ids.min() <= ids.max() <= UINT8.max:
                array = array.astype(np.int16)
            array[d] = ids
    return _place(array, header, path)


def label_reason(path: str | Path) -> str:
    """Why a file is a label map and no CT, in words; empty where it may be a CT.

    As few slices are read as tell: of most CT the first one, of a label map all. Voxels that
    cannot be read make a CT that fails, as a case of its own, where it is read.

    Raises:
      InputError: the header is not that of one readable volume; the line says why.
    """
    path = Path(path)
    if np.prod(read_grid(path).shape) < FEWEST:
        return ""
    with suppress(InputError), open_volume(path) as file:
        _, _, slices = scaled_slices(file, path)
        return _label_map(slices)
    return ""


def _label_map(slices: Iterable[NDArray]) -> str:
    """`label_map` of the values of slices, of which as few are read as tell."""
    ids = np.empty(0)
    for values in slices:
        if values.min() < -1:
            return ""
        ids = np.union1d(ids, values)
        if not label_map(ids):
            return ""
    return label_map(ids)


def read_grid(path: str | Path) -> Volume:
    """Geometry of a file from its header alone, with voxels that take no memory."""
    path = Path(path)
    with open_volume(path) as file:
        header, shape, _ = scaled_slices(file, path)
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
    set_grid(header, volume)
    return _save(path, header, volume.array)


def write_like(path: str | Path, array: NDArray, source_path: str | Path) -> Path:
    """Write an array with the very header geometry of another file.

    Dimensions, sform, qform, their codes and the voxel sizes are the bytes of a NIfTI source, and
    say the same of another. Free text and extensions are not carried over: they may name the
    patient.

    Args:
      path: gzip is used where it ends in `.gz`.
      array: voxels (D, H, W), as `read(source_path)` orders them.
      source_path: the file whose grid it is.

    Returns:
      The path written.
    """
    source_path = Path(source_path)
    with open_volume(source_path) as file:
        header = file.header
    shape = volume_shape(header, source_path)
    if array.shape != shape:
        raise ValueError(f"array {array.shape} does not fit {source_path} with shape {shape}")
    for field in ("descrip", "aux_file", "intent_name", "db_name"):
        if field in header.keys():
            header[field] = b""
    header["cal_min"] = header["cal_max"] = 0
    header["intent_code"] = 0
    return _save(path, header, array)


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
