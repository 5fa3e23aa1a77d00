"""Commands as a user runs them, and what they leave behind."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from unittest import mock

import jax
import numpy as np
import pytest

from core.train.checkpoint import restore_model
from tests.conftest import QUICK_TO_COMPILE

# The tests' own process pretends to have eight devices; a user's command finds what is there. It
# compiles longer than it computes here, so with the same optimization as other tests.
ENV = os.environ | {"XLA_FLAGS": QUICK_TO_COMPILE}


class Program:
    """The console script of a paper.

    Args:
      name: of the package.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def command(self, *words: object) -> list[str]:
        """Command line with this interpreter."""
        return [sys.executable, "-m", self.name, *map(str, words)]

    def __call__(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        command = self.command(*words)
        return subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=300)

    def done(self, *words: object) -> str:
        """Run it; it must succeed; what it printed."""
        process = self(*words)
        assert process.returncode == 0, process.stderr
        return process.stdout

    def refused(self, *words: object) -> str:
        """Call it here, without the seconds of a start; it must be wrong; the one line about it."""
        command, said = import_module(f"{self.name}.cli"), io.StringIO()
        argv = mock.patch.object(sys, "argv", [self.name, *map(str, words)])
        with argv, contextlib.redirect_stderr(said), pytest.raises(SystemExit) as stop:
            command.main()
        assert stop.value.code == 2, said.getvalue()
        (line,) = said.getvalue().splitlines()
        return line

    def kill_at(self, step: int, run: Path, *words: object) -> None:
        """Train into `run` and kill the process once it has logged a step."""
        words = (*words, "--out", run)
        process = subprocess.Popen(self.command(*words), env=ENV, stderr=subprocess.DEVNULL)
        _wait_for_step(run / "metrics.jsonl", step, process)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


def results(out: Path) -> dict:
    """Content of results.json."""
    return json.loads((out / "results.json").read_text())


def leaves(run: Path) -> list[np.ndarray]:
    """Arrays of a trained network."""
    return jax.tree.leaves(restore_model(run / "checkpoints"))


def steps(run: Path) -> list[dict]:
    """Logged lines without their times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "time"} for line in lines]


def _wait_for_step(metrics: Path, step: int, process: subprocess.Popen) -> None:
    while process.poll() is None:
        if metrics.is_file() and f'"step": {step},' in metrics.read_text():
            return
        time.sleep(0.02)
    raise AssertionError("the training ended before it could be killed")
