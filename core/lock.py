"""A folder that one run writes at a time.

The kernel holds the lock for a process (`flock`) and drops it when that ends, however it ends: what
a killed run leaves behind is in nobody's way.
"""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from core.errors import InputError

LOCK = ".lock"
"""In the folder while somebody writes there; tells who."""
WITHOUT_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
"""What file systems answer that have no locks, as Lustre without `-o flock`."""


@contextmanager
def only_writer(folder: str | Path, name: str = LOCK) -> Iterator[None]:
    """Hold a folder, which is made when missing, against a second run.

    On a file system without locks nothing is held.

    Args:
      folder: that is written.
      name: of the file in it that is locked.

    Raises:
      InputError: another process, or another thread of this one, holds it.
    """
    path = Path(folder) / name
    with _locked(path, fcntl.LOCK_EX):
        try:
            yield
        finally:
            with suppress(OSError):  # a folder that became read-only, or was removed
                path.unlink()


@contextmanager
def one_of_the_writers(folder: str | Path, name: str) -> Iterator[None]:
    """Hold one shard of a folder, beside runs that hold others, against an `only_writer`.

    Args:
      folder: that is written.
      name: of the shard.

    Raises:
      InputError: somebody holds the folder, or this shard of it.
    """
    shared = _locked(Path(folder) / LOCK, fcntl.LOCK_SH)
    with shared, only_writer(folder, f"{LOCK}.{name}"):
        yield


def _locked(path: Path, kind: int) -> TextIOWrapper:
    """The open file, locked.

    Whoever held it removes it at the end, so one that was opened before may be gone when its lock
    is free; then another file has the name, or none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise _refusal(path, file) from None
        if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            return file
        file.close()


def _refusal(path: Path, file: TextIOWrapper) -> InputError:
    with file:
        file.seek(0)
        who = file.read() or "another process"
    hint = "wait for its end, or choose another folder"
    return InputError(f"is being written by {who}", path=path.parent, hint=hint)
