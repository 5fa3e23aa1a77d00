"""Campaigns: a process for each target, with bounded memory, which a watcher ends when it hangs."""

import faulthandler
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from core.errors import InputError
from tests.fuzz.targets import TARGETS

MAX_MEMORY_BYTES = 2 << 30
"""Above what the process has when it begins; the originals are kilobytes."""
HANG_S = 60
"""Of one example; the slowest of sound files takes a second."""
EXAMPLES_AT_ONCE = 50


class Outcome(NamedTuple):
    """Of one target.

    Args:
      examples: inputs that were read.
      fault: what went wrong, in words; empty where nothing did.
      input: the smallest input known to show it.
    """

    examples: int
    fault: str
    input: Path | None


def run(target: str, seconds: float, finds: Path, *, seed: int, most: int | None = None) -> Outcome:
    """Fuzz one target in a process of its own.

    Args:
      target: name of one of TARGETS.
      seconds: how long.
      finds: folder that gets the input of a fault.
      seed: of the draws; another one, other inputs.
      most: inputs; any number without.
    """
    with tempfile.TemporaryDirectory(prefix="panjax-fuzz-") as scratch:
        work = Path(scratch)
        command = [sys.executable, "-m", "tests.fuzz", "--child", target, scratch]
        command += [str(seconds), str(seed), str(most or sys.maxsize)]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
        with (work / "log").open("wb") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            hangs = _watch(child, work)
        examples = _count(work)
        if child.returncode == 0:
            return Outcome(examples, "", None)
        kept = finds / target
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(work / "input", kept)
        text = (work / "log").read_text(errors="replace").strip().splitlines()
        shutil.copy(work / "log", finds / f"{target}.log")
        fault = f"no answer within {HANG_S} s" if hangs else (text or ["ended"])[-1]
        if child.returncode < 0 and not hangs:
            fault = f"killed by signal {-child.returncode}"
        return Outcome(examples, fault, kept)


def child(target: str, work: Path, seconds: float, seed: int, most: int) -> None:
    """Draw inputs, and read them, until time or number is up, or one of them shows a fault."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import seed as seeded
    from hypothesis import strategies as st

    faulthandler.enable()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    kind = TARGETS[target]
    originals, folder = work / "originals", work / "input"
    kind.make(originals)
    end, count = time.monotonic() + seconds, 0
    bound = _memory_bytes() + MAX_MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))

    @given(data=st.data())
    @settings(
        max_examples=EXAMPLES_AT_ONCE,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    def one(data: st.DataObject) -> None:
        nonlocal count
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        kind.change(data.draw, originals, folder)
        count += 1
        (work / "count").write_text(str(count))
        try:
            kind.consume(folder)
        except InputError as error:
            if "\n" in str(error):
                raise ValueError(f"more than a line: {error}") from error

    while time.monotonic() < end and count < most:
        try:
            seeded(seed + count)(one)()
        except Exception as error:
            error.__notes__ = []  # what was drawn, which lies in the folder
            traceback.print_exception(error)
            print(f"{type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
            sys.exit(1)


def _watch(child: subprocess.Popen, work: Path) -> bool:
    """Wait for a process; end it, and tell so, when it makes no example for too long."""
    last, since = -1, time.monotonic()
    while child.poll() is None:
        time.sleep(0.2)
        if (now := _count(work)) != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > HANG_S:
            child.send_signal(signal.SIGABRT)  # whose handler prints where it hangs
            child.wait()
            return True
    return False


def _count(work: Path) -> int:
    try:
        return int((work / "count").read_text() or 0)
    except (FileNotFoundError, ValueError):
        return 0


def _memory_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def campaign(targets: Sequence[str], minutes: float, finds: Path, *, seed: int) -> int:
    """Fuzz targets one after the other, and print a line for each.

    Returns:
      Targets that showed a fault.
    """
    finds.mkdir(parents=True, exist_ok=True)
    faults = 0
    for name in targets:
        outcome = run(name, 60 * minutes / len(targets), finds, seed=seed)
        faults += bool(outcome.fault)
        told = f"{outcome.fault}; input in {outcome.input}" if outcome.fault else "no fault"
        print(f"{name}: {outcome.examples} inputs, {told}", flush=True)
    return faults
