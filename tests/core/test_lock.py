"""A folder has one writer, and nobody who ended stands in the way."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from core.lock import LOCK, one_of_the_writers, only_writer
from tests.refusals import refused

ROOT = Path(__file__).parents[2]


def test_a_second_writer_is_refused_and_told_who_is_first(tmp_path):
    us = f"process {os.getpid()} on {socket.gethostname()}"
    with only_writer(tmp_path), refused(tmp_path, f"is being written by {us}", hint="another"):
        with only_writer(tmp_path):
            pass


def test_a_folder_is_made_and_left_as_it_was(tmp_path):
    for _ in range(2):
        with only_writer(tmp_path / "new"):
            assert (tmp_path / "new" / LOCK).is_file()
        assert list((tmp_path / "new").iterdir()) == []


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a folder until it is killed."""
    code = f"""
import time
from core.lock import only_writer
with only_writer({str(tmp_path)!r}):
    print("held", flush=True)
    time.sleep(600)
"""
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_lock_of_a_killed_process_is_gone_with_it(tmp_path, holder):
    with refused(tmp_path, f"process {holder.pid} on", hint="wait"), only_writer(tmp_path):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / LOCK).is_file()  # left behind, and in nobody's way
    with only_writer(tmp_path):
        pass


def test_a_lock_file_that_goes_while_it_is_opened_is_no_lock(tmp_path, monkeypatch):
    flock, left = fcntl.flock, [1]

    def late(file, kind):
        if left:
            left.pop()
            (tmp_path / LOCK).unlink()  # its holder ended just now
        flock(file, kind)

    monkeypatch.setattr(fcntl, "flock", late)
    with only_writer(tmp_path), refused(tmp_path, "is being written", hint="wait"):
        with only_writer(tmp_path):
            pass


def test_shards_are_written_at_once_each_by_one_and_not_beside_a_single_writer(tmp_path):
    with one_of_the_writers(tmp_path, "0of2"), one_of_the_writers(tmp_path, "1of2"):
        with refused(tmp_path, "is being", hint="wait"), one_of_the_writers(tmp_path, "0of2"):
            pass
        with refused(tmp_path, "is being", hint="wait"), only_writer(tmp_path):
            pass
    with only_writer(tmp_path):
        with refused(tmp_path, "is being", hint="wait"), one_of_the_writers(tmp_path, "0of2"):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_written_without(tmp_path, monkeypatch, number):
    def fails(file, kind):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fails)
    with only_writer(tmp_path), only_writer(tmp_path):
        pass
