"""Zipped studies: unpacked whole or not at all, and never beyond their own folder.

What an archive says about itself is not trusted: names may lead out of the folder, and a few
kilobytes may claim to be terabytes.
"""

import atexit
import functools
import hashlib
import logging
import lzma
import os
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

from core.atomic import aside
from core.errors import InputError

LOG = logging.getLogger(__name__)

# Packed CT grows by a factor of 2 to 4, a blank picture by 1000; a bomb is large as well.
MAX_GROWTH, LARGE_BYTES = 200, 1_000_000_000
_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
# Members by which word processors and programs tell their own archives.
_DOCUMENT = {"[Content_Types].xml", "META-INF/MANIFEST.MF", "mimetype"}
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, ValueError)
_DAMAGED += (OverflowError, LookupError)


def is_archive(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a zip archive, whatever its name."""
    return start[:4] in _STARTS


@functools.cache
def scratch() -> Path:
    """A folder that lasts as long as this process."""
    folder = tempfile.mkdtemp(prefix="panjax-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def unpack(path: Path, work: Path) -> Path | None:
    """Unpack an archive below a work folder; one that was unpacked before is left as it is.

    Returns:
      The folder of its members; None for the document of another program.

    Raises:
      InputError: it is encrypted, damaged, leads out of its folder, or is too large.
    """
    status = path.stat()
    stamp = f"|{status.st_size}|{status.st_mtime_ns}".encode()
    folder = work / hashlib.sha256(os.fsencode(path.resolve()) + stamp).hexdigest()[:16]
    try:
        with zipfile.ZipFile(path) as packed:
            if _DOCUMENT & set(packed.namelist()):
                return None
            members = {m: _below(m, path) for m in packed.infolist() if not m.is_dir()}
            if not folder.is_dir():
                work.mkdir(parents=True, exist_ok=True)
                _refuse_too_large(list(members), path, work)
                _extract(packed, members, folder)
    except _DAMAGED as error:
        raise InputError(f"the archive is damaged ({type(error).__name__})", path=path) from None
    except (NotImplementedError, RuntimeError):
        raise InputError("the archive is packed in a way that is not known", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be unpacked ({error.strerror})", path=path) from None
    return folder


def _below(member: zipfile.ZipInfo, path: Path) -> Path:
    """Where a member goes below the folder."""
    parts = re.split(r"[/\\]", member.filename)
    if parts[0] == "" or ".." in parts or re.match("[A-Za-z]:", parts[0]):
        raise InputError(
            f"holds a name that leads out of it ({member.filename!r})",
            path=path,
            hint="unpack it by hand and look at it",
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(f"holds a link ({member.filename!r})", path=path, hint="unpack it by hand")
    if member.flag_bits & 1:
        raise InputError("is encrypted", path=path, hint="unpack it with its password")
    return Path(*(part for part in parts if part not in ("", ".")))


def _refuse_too_large(members: list[zipfile.ZipInfo], path: Path, work: Path) -> None:
    total, packed = sum(m.file_size for m in members), path.stat().st_size
    if total > LARGE_BYTES and total > MAX_GROWTH * packed:
        raise InputError(
            f"grows from {packed / 1e6:.1f} MB to {total / 1e9:.1f} GB, which no study does",
            path=path,
        )
    free = shutil.disk_usage(work).free
    if total > free:
        raise InputError(
            f"needs {total / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in {work}", path=path
        )


def _extract(packed: zipfile.ZipFile, members: dict[zipfile.ZipInfo, Path], folder: Path) -> None:
    """Write the members; the folder has its name only once it is whole."""
    for stale in folder.parent.glob(f".*-{folder.name}"):  # of a process that was killed
        shutil.rmtree(stale)
    LOG.info("%s: unpacking %d files", packed.filename, len(members))
    with aside(folder) as temporary:
        temporary.mkdir()
        for member, below in members.items():
            target = temporary / below
            target.parent.mkdir(parents=True, exist_ok=True)
            while target.exists():  # an archive may hold a name twice
                target = target.with_name(f"{target.name}~")
            # No more is written than the member claims: what comes after that is not read.
            with packed.open(member) as source, target.open("xb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
