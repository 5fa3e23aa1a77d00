"""Files that are either whole or absent: written aside, then renamed."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import InputError
from core.names import escaped

MAX_NAME_BYTES = 255
"""Of a file or folder, on every usual file system."""
LEFTOVER = r"\.[0-9a-f]{8}-"
"""How the names of siblings begin."""


@contextmanager
def aside(path: str | Path) -> Iterator[Path]:
    """Give a hidden sibling of `path` to write a file or a folder to; rename it when all is well.

    The sibling ends with the name of `path`, so writers that look at the suffix see the same one;
    of a name that leaves no room for more, with the end of it.
    A file replaces an older file; a folder needs an absent or empty target. On an error the
    sibling is removed and `path` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = f".{secrets.token_hex(4)}-"
    temporary = path.with_name(mark + _end(path.name, MAX_NAME_BYTES - len(mark)))
    try:
        with named(path):
            yield temporary
            if temporary.is_file():
                _flush(temporary)
            os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


@contextmanager
def named(path: str | Path) -> Iterator[None]:
    """Name the file in the error of a write, such as that of a full disk, which names none."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def remove_leftovers(folder: Path) -> None:
    """Remove what killed runs wrote aside, at any depth; only where nobody else writes."""
    for path in [p for p in folder.rglob(".*") if re.match(LEFTOVER, p.name)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # it may have lain in one that is removed


def new_folder(path: str | Path) -> Path:
    """Path of a folder that is to be made.

    Raises:
      InputError: it is there and holds something, or is a file.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError("already holds something", path=path, hint="choose a new folder")
    return path


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file of bytes, whole or not at all."""
    with aside(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all; what UTF-8 cannot hold is escaped."""
    write_bytes(path, escaped(text).encode())


def _end(name: str, num_bytes: int) -> str:
    """As much of the end of a name as fits."""
    whole = os.fsencode(name)
    return name if len(whole) <= num_bytes else whole[-num_bytes:].decode(errors="ignore")


def _flush(path: Path) -> None:
    """Have the file's content on the disk before its name is, so that a power cut keeps order."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
