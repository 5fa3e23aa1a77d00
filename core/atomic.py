"""Files that are either whole or absent: written aside, then renamed."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import InputError


@contextmanager
def aside(path: str | Path) -> Iterator[Path]:
    """Give a hidden sibling of `path` to write a file or a folder to; rename it when all is well.

    The sibling ends with the name of `path`, so writers that look at the suffix see the same one.
    A file replaces an older file; a folder needs an absent or empty target. On an error the
    sibling is removed and `path` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        if temporary.is_file():
            _flush(temporary)
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


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
    """Write a UTF-8 text file, whole or not at all."""
    write_bytes(path, text.encode())


def _flush(path: Path) -> None:
    """Have the file's content on the disk before its name is, so that a power cut keeps order."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
