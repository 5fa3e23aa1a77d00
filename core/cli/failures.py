"""What ends a command before its end, as an exit status and one line."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from core.errors import InputError, PreemptedError, RunError

FULL_DISK = "make some, and call again: what is finished is kept"


@contextlib.contextmanager
def user_values() -> Iterator[None]:
    """Around what takes a command's flags as they are: a value it refuses is the user's mistake."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from None


def explain(error: BaseException) -> tuple[int, str]:
    """Exit status and line for what went wrong."""
    match error:
        case InputError():
            return 2, str(error)
        case RunError():
            return 1, str(error)
        case PreemptedError():
            return 128 + signal.SIGTERM, str(error)
        case KeyboardInterrupt():
            return 130, "interrupted"
        case BrokenPipeError():
            # Whoever read our output has left; nothing else may try to write to it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1, ""
        case OSError(errno=errno.ENOSPC | errno.EDQUOT, filename=path):
            return 1, f"{path or 'the output'}: no room on the disk; {FULL_DISK}"
        case OSError(filename=str() | Path() as path):
            return 2, f"{path}: {error.strerror}"
        case _:
            text = " ".join(str(error).split())
            return 1, f"{type(error).__name__}: {text}; --debug shows where"
