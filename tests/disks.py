"""Disks that are small, full or read-only, where this machine lets us mount them."""

import gc
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

orbax_leaves_coroutines = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)
"""A write that fails leaves Orbax's others unfinished; that is told when they are collected."""


@contextmanager
def small_disk(folder: Path, num_bytes: int) -> Iterator[Path]:
    """A file system of so many bytes in memory, in a new folder."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here: that needs root")
    try:
        yield disk
    finally:
        gc.collect()  # here, where it is known what is told of
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def make_read_only(disk: Path) -> None:
    """Let nothing more be written to a `small_disk`."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
