"""Files of one volume: NIfTI, NRRD and MetaImage, told apart by content and read in one way."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from core.errors import InputError
from core.io.described import Described, data_file, nifti_header, voxels
from core.io.foreign import foreign
from core.io.metaimage import is_metaimage, read_metaimage
from core.io.nifti_header import Header, header_class, may_be_nifti, opened, read_header
from core.io.nrrd import MAGIC, read_nrrd
from core.io.paths import START_BYTES

_DESCRIBED = (".nrrd", ".nhdr", ".mha", ".mhd")
ENDINGS = (".nii.gz", ".nii", *_DESCRIBED)


class VolumeFile(NamedTuple):
    """An open file of one volume.

    Args:
      header: what it says, as a NIfTI header.
      voxels: stands at the first voxel.
      data: the file that holds the voxels.
    """

    header: Header
    voxels: BinaryIO
    data: Path


def may_be_volume(start: bytes) -> bool:
    """Whether a file with these first bytes is worth a look by `is_volume`."""
    return may_be_nifti(start) or _is_described(start)


def is_volume(path: Path) -> bool:
    """Whether the first bytes, unpacked if need be, are those of a header that is read here."""
    try:
        with opened(path) as stream:
            return _is_header(stream.read(START_BYTES))
    except InputError:
        return False


@contextmanager
def open_volume(path: Path) -> Iterator[VolumeFile]:
    """Header and voxels of a file; what goes wrong inside becomes an `InputError`.

    Raises:
      InputError: the file is missing, damaged, or no volume that is read; the line says why.
    """
    with opened(path) as stream, ExitStack() as files:
        start = stream.read(START_BYTES)
        stream.seek(0)
        if not _is_header(start):
            raise InputError(_no_volume(path), path=path)
        if not _is_described(start):
            yield VolumeFile(read_header(stream, path), stream, path)
            return
        described = _described(stream, start, path)
        header = nifti_header(described, path)
        source = voxels(described, stream, path, files)
        yield VolumeFile(header, source, data_file(described, path))


def parts(path: Path) -> tuple[Path, ...]:
    """The file itself, and the file of its voxels where that is another one that is there."""
    if not path.name.lower().endswith(_DESCRIBED):
        return (path,)
    with suppress(InputError), opened(path) as stream:  # told where it is read
        start = stream.read(START_BYTES)
        stream.seek(0)
        if _is_described(start):
            return tuple(dict.fromkeys((path, data_file(_described(stream, start, path), path))))
    return (path,)


def without_ending(name: str) -> str:
    """Name of a volume's file without its ending."""
    ending = next((e for e in ENDINGS if name.lower().endswith(e)), "")
    return name[: len(name) - len(ending)]


def _no_volume(path: Path) -> str:
    with path.open("rb") as file:
        found = foreign(path, file.read(START_BYTES))
    return found.reason if found else "not a NIfTI image"


def _described(stream: BinaryIO, start: bytes, path: Path) -> Described:
    read = read_nrrd if start.startswith(MAGIC) else read_metaimage
    return read(stream, path)


def _is_described(start: bytes) -> bool:
    return start.startswith(MAGIC) or is_metaimage(start)


def _is_header(start: bytes) -> bool:
    return _is_described(start) or header_class(start[:4]) is not None
