"""Remarks on input: what a reader corrected, or doubts, for the log and for whoever works on it.

A reader deep inside knows what is odd, and the command that called it writes the results. What is
remarked inside `kept()` reaches both.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

LOG = logging.getLogger(__name__)

_KEPT: ContextVar[list[str] | None] = ContextVar("_KEPT", default=None)


def remark(path: str | Path, text: str) -> None:
    """Warn of a file or folder, once for each `kept()`; by the thread that works on the case."""
    line, lines = f"{path}: {text}", _KEPT.get()
    if lines is None:
        LOG.warning("%s", line)
    elif line not in lines:
        LOG.warning("%s", line)
        lines.append(line)


@contextmanager
def kept() -> Iterator[list[str]]:
    """Lines of what is remarked inside the block, in order; the list grows meanwhile."""
    lines: list[str] = []
    token = _KEPT.set(lines)
    try:
        yield lines
    finally:
        _KEPT.reset(token)
