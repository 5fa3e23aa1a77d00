"""A cascade trained for a few steps: it knows nothing, and everything around it is real."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUNS = ("tiny-64", "tiny-32", "tiny-16")
FEW = ["--run.steps", "2", "--data.batch", "2", "--model.width", "2"]

# The tests' own process pretends to have eight devices; a user's command finds what is there.
ENV = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}


def command(*words: object) -> list[str]:
    """Command line of `s4c WORDS` with this interpreter."""
    return [sys.executable, "-m", "s4c", *map(str, words)]


def s4c(*words: object) -> subprocess.CompletedProcess[str]:
    """Run `s4c WORDS` as a user does, in a process of its own."""
    return subprocess.run(command(*words), env=ENV, capture_output=True, text=True, timeout=300)


def done(*words: object) -> str:
    """Run `s4c WORDS`, which must succeed, and return what it printed."""
    process = s4c(*words)
    assert process.returncode == 0, process.stderr
    return process.stdout


class Trained:
    """A phantom data set and three networks."""

    def __init__(self, root: Path) -> None:
        self.root, self.data, self.cache = root, root / "phantoms", root / "cache"
        self.runs = [root / "runs" / name for name in RUNS]

    def screen(self, *inputs: object, out: Path) -> subprocess.CompletedProcess[str]:
        """Screen with the whole cascade."""
        runs = [word for run in self.runs for word in ("--run", run)]
        return s4c("screen", *inputs, *runs, "--out", out)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    cascade = Trained(tmp_path_factory.mktemp("s4c"))
    done("phantom", cascade.data, "--num-cases", 4, "--seed", 5, "--spacing-mm", 6)
    done("prepare", "--data", cascade.data, "--out", cascade.cache)
    for name, run in zip(RUNS, cascade.runs, strict=True):
        done("train", name, "--data", cascade.cache, "--out", run, *FEW)
    return cascade
