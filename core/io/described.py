"""A volume whose header is text and whose voxels follow or lie in another file: NRRD, MetaImage.

Both say in words what a NIfTI header says in bytes, and store voxels in the same order; so they are
read through the NIfTI header that says the same.
"""

import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from core.errors import InputError
from core.io.nifti_header import Header, set_grid
from core.volume import from_affine_lps

_CHUNK = 1 << 18
_ANY_DEFLATE = zlib.MAX_WBITS | 32  # zlib or gzip, as the data says


class Described(NamedTuple):
    """What a header says in words.

    Args:
      shape: of (x, y, z, …), x fastest; more than three axes are several volumes.
      dtype: of a voxel, with its byte order.
      affine_lps: (4, 4) from (i, j, k, 1) to LPS millimetres.
      is_packed: whether the voxels are deflated.
      data: name of the file of the voxels; None where they follow the header.
      skip_lines: lines before the voxels.
      skip_bytes: bytes before the voxels; -1 where they are the end of their file.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    affine_lps: NDArray[np.float64]
    is_packed: bool
    data: str | None
    skip_lines: int = 0
    skip_bytes: int = 0

    @property
    def num_bytes(self) -> int:
        """Of all voxels, unpacked."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=object))


@contextmanager
def parsing(kind: str, path: Path) -> Iterator[None]:
    """Around the parsing of the fields of a header.

    Raises:
      InputError: a field is missing or damaged.
    """
    try:
        yield
    except (KeyError, ValueError) as error:
        what = f"no field {error}" if isinstance(error, KeyError) else error
        raise InputError(f"the {kind} header is damaged ({what})", path=path) from None


def nifti_header(described: Described, path: Path) -> Header:
    """NIfTI header that says the same.

    Raises:
      InputError: it has no volume, or no axes in space.
    """
    header = nib.Nifti1Header(endianness=">" if described.dtype.byteorder == ">" else "<")
    try:
        header.set_data_shape(described.shape)
        header.set_data_dtype(described.dtype)
        # The order of a Volume is (k, j, i).
        affine = described.affine_lps[:, [2, 1, 0, 3]]
        grid = from_affine_lps(np.broadcast_to(np.uint8(0), (1, 1, 1)), affine)
        with np.errstate(all="ignore"):  # what float32 cannot hold is told where it is read
            set_grid(header, grid)
    except (HeaderDataError, ValueError) as error:
        raise InputError(f"the geometry is damaged ({error})", path=path) from None
    return header


def data_file(described: Described, path: Path) -> Path:
    """File of the voxels of a header; the header's own where they follow it.

    Raises:
      InputError: it is not below the header's folder.
    """
    if described.data is None:
        return path
    name = Path(described.data)
    inside = not name.is_absolute() and ".." not in name.parts
    place = path.parent / (name if inside else name.name)
    if not place.is_file():
        raise InputError(
            f"its voxels lie in {described.data}, which is not there",
            path=path,
            hint=f"put {name.name} beside it",
        )
    return place


def voxels(described: Described, stream: BinaryIO, path: Path, files: ExitStack) -> BinaryIO:
    """Bytes of the voxels.

    Args:
      described: the header.
      stream: of the header's file, behind the header.
      path: of that file.
      files: closes the file of the voxels.

    Raises:
      InputError: the file of the voxels is missing.
    """
    place = data_file(described, path)
    source = stream if place == path else files.enter_context(place.open("rb"))
    for _ in range(described.skip_lines):
        if not source.readline():
            break
    if described.is_packed:
        source = cast(BinaryIO, io.BufferedReader(_Inflated(source), _CHUNK))
        left = max(0, described.skip_bytes)
        while skipped := source.read(min(left, _CHUNK)):
            left -= len(skipped)
    elif described.skip_bytes < 0:
        source.seek(-described.num_bytes, io.SEEK_END)
    else:
        source.seek(described.skip_bytes, io.SEEK_CUR)
    return source


class _Inflated(io.RawIOBase):
    """Unpacked bytes of deflated data that begins where its source stands."""

    def __init__(self, source: BinaryIO) -> None:
        self._source, self._inflate = source, zlib.decompressobj(_ANY_DEFLATE)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        unpacked = b""
        while not unpacked and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._source.read(_CHUNK)
            if not packed:
                raise EOFError
            unpacked = self._inflate.decompress(packed, len(buffer))
        buffer[: len(unpacked)] = unpacked
        return len(unpacked)
