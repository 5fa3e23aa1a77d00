"""NIfTI headers: recognise the format; read shape, voxel type, scaling and affine.

By content, never by suffix: `.nii` files turn out to be gzip and `.nii.gz` files to be
plain, a pointer of Git LFS, or the shadow that a Mac leaves beside the real file.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from core.errors import InputError
from core.io.paths import START_BYTES, refuse_stand_in
from core.io.remarks import remark
from core.volume import RAS_FROM_LPS, Volume

Header = nib.Nifti1Header  # NIfTI-2 is a subclass of it in nibabel

_GZIP = b"\x1f\x8b"
_SIZES = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_DEFLATE_LIMIT = 1032  # no gzip stream grows by more than this factor


def header_class(start: bytes) -> type[Header] | None:
    """Kind of NIfTI header that begins with four bytes; of Analyze 7.5 as well."""
    for order in ("little", "big"):
        if kind := _SIZES.get(int.from_bytes(start, order)):
            return kind
    return None


def may_be_nifti(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a NIfTI header, or packed."""
    return start[:2] == _GZIP or header_class(start[:4]) is not None


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """Unpacked bytes of a file; what goes wrong while they are read becomes an `InputError`."""
    path = Path(path)
    try:
        with path.open("rb") as raw:
            start = raw.read(START_BYTES)
            raw.seek(0)
            refuse_stand_in(start, path)
            yield cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if start[:2] == _GZIP else raw
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except EOFError:
        raise InputError("the file is truncated", path=path, hint="fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"the gzip data is damaged ({error})", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path) from None


def read_header(stream: BinaryIO, path: Path) -> Header:
    """Header at the start of an unpacked stream; the stream is left at the first voxel."""
    start = stream.read(4)
    kind = header_class(start)
    if kind is None:
        raise InputError("not a NIfTI image", path=path)
    try:
        # Without extensions: free text. Unchecked: nibabel's checks print lines of their own.
        header = kind(start + stream.read(kind.sizeof_hdr - len(start)), check=False)
    except WrapStructError as error:
        raise InputError(f"the NIfTI header is damaged ({error})", path=path) from None
    _refuse_pair(bytes(header["magic"])[:2], path)
    offset = float(header["vox_offset"])
    if not 0 <= offset < 2**31:
        raise InputError(f"the NIfTI header is damaged (voxels at byte {offset:g})", path=path)
    stream.seek(max(int(offset), header.sizeof_hdr))
    return header


def _refuse_pair(magic: bytes, path: Path) -> None:
    if magic == b"ni":
        raise InputError("voxels lie in a separate .img file", path=path, hint="make it one .nii")
    if magic != b"n+":
        raise InputError(
            "an Analyze 7.5 header, which does not tell left from right",
            path=path,
            hint="convert it to NIfTI with what wrote it",
        )


def volume_shape(header: Header, path: Path) -> tuple[int, int, int]:
    """(D, H, W) of the one volume in a file, without trailing axes of size 1."""
    shape = tuple(int(n) for n in header.get_data_shape())
    if len(shape) < 3 or min(shape) < 1:
        raise InputError(f"a volume has 3 axes; this image has shape {shape}", path=path)
    if any(n > 1 for n in shape[3:]):
        raise InputError(
            f"the image has {len(shape)} axes {shape}, several volumes in one file",
            path=path,
            hint="split it into one file per time point or channel",
        )
    return shape[2], shape[1], shape[0]


def voxel_type(header: Header, path: Path) -> np.dtype:
    """Stored type of a voxel, refused where a voxel is not one real number."""
    try:
        dtype = header.get_data_dtype()
    except KeyError:
        raise InputError(f"unknown voxel type {int(header['datatype'])}", path=path) from None
    if dtype.kind not in "iuf":
        kind = "colors (RGB)" if dtype.fields else f"{dtype.name} numbers"
        raise InputError(f"voxels are {kind}; a CT has one real number each", path=path)
    return dtype


def refuse_too_small(dtype: np.dtype, shape: tuple[int, ...], path: Path, data: Path) -> None:
    """Refuse a header that claims more voxels than can be in a file.

    A damaged one can claim any size: this is asked before memory is taken.

    Args:
      dtype: of a voxel.
      shape: of the volume.
      path: of the header, named in the error.
      data: file of the voxels.
    """
    num_bytes = dtype.itemsize * int(np.prod(shape, dtype=object))
    if num_bytes > data.stat().st_size * _DEFLATE_LIMIT:
        raise InputError(f"the file is too small for the shape {shape} it claims", path=path)


def scaling(header: Header) -> tuple[float, float]:
    """(slope, intercept) with (1, 0) where the header says that there is none."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not np.isfinite(slope):
        return 1.0, 0.0
    return slope, inter if np.isfinite(inter) else 0.0


def affine_ras(header: Header, path: Path) -> NDArray[np.float64]:
    """(4, 4) matrix from (i, j, k, 1) to RAS millimetres, by the rule of the NIfTI standard.

    The sform where its code is positive, else the qform; where both are and they disagree in
    orientation nothing tells which one is right, and readers differ in their choice.
    """
    if int(header["xyzt_units"]) & 7 in (1, 3):
        raise InputError("lengths are in meters or microns; convert them to mm", path=path)
    has_sform, has_qform = int(header["sform_code"]) > 0, int(header["qform_code"]) > 0
    if header["pixdim"][0] not in (-1, 1):  # the standard: take other values as 1
        header["pixdim"][0] = 1
    try:
        with np.errstate(all="ignore"):  # a value that is no number is told below
            sform = np.asarray(header.get_sform()) if has_sform else None
            qform = np.asarray(header.get_qform()) if has_qform else None
    except (HeaderDataError, ValueError) as error:
        raise InputError(f"the qform is damaged ({error})", path=path) from None
    if not all(np.isfinite(form).all() for form in (sform, qform) if form is not None):
        raise InputError("the sform or qform is no number", path=path)
    if sform is not None and qform is not None:
        _refuse_conflict(sform, qform, path)
    chosen = sform if sform is not None else qform
    if chosen is None:
        remark(path, "the header has no orientation; axes are taken as R, A, S")
        return np.diag([*header["pixdim"][1:4].astype(np.float64), 1.0])
    return chosen.astype(np.float64)


def set_grid(header: Header, volume: Volume) -> None:
    """Say in a header where the voxels of a volume lie."""
    header.set_xyzt_units("mm")
    affine = RAS_FROM_LPS @ volume.affine_lps[:, [2, 1, 0, 3]]
    header.set_sform(affine, 1)
    # A qform holds no shear: a grid that has one is described by the sform alone.
    cosines = volume.direction.T @ volume.direction
    header.set_qform(affine, 1 if np.allclose(cosines, np.eye(3), atol=1e-4) else 0)


def _refuse_conflict(sform: NDArray, qform: NDArray, path: Path) -> None:
    axes = ["".join(c or "?" for c in nib.aff2axcodes(a)) for a in (sform, qform)]
    if axes[0] != axes[1]:
        raise InputError(
            f"sform says {axes[0]} and qform says {axes[1]}",
            path=path,
            hint="set the code of the wrong one to 0",
        )
    difference = float(np.abs(sform - qform).max())
    if difference > 1e-3:
        remark(path, f"sform and qform differ by {difference:.3g}; the sform is used")
