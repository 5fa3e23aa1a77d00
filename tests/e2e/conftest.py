"""A cascade trained for a few steps: it knows nothing, and everything around it is real."""

import subprocess
from pathlib import Path

import pytest

from s4c.recipes import RECIPES
from tests.e2e.program import Program

RUNS = ("tiny-64", "tiny-32", "tiny-16")
FEW = [
    *("--run.steps", "2", "--data.batch", "2", "--model.width", "2"),
    *("--infer.batch", "4"),  # small scans have few windows: the others would be padding
]
LONGER = [*FEW, "--run.steps", "20", "--run.checkpoint-every", "5", "--run.log-every", "1"]
"""Of tiny-16, whose steps are short: long enough to be killed on the way."""

s4c = Program("s4c")


class Trained:
    """Phantoms that three networks learned from, and new ones."""

    def __init__(self, root: Path) -> None:
        self.root, self.data, self.cache = root, root / "phantoms", root / "cache"
        self.new = root / "new"
        self.runs = [root / "runs" / name for name in RUNS]

    def screen(self, *inputs: object, out: Path) -> subprocess.CompletedProcess[str]:
        """Screen with the whole cascade."""
        runs = [word for run in self.runs for word in ("--run", run)]
        return s4c("screen", *inputs, *runs, "--out", out)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    cascade = Trained(tmp_path_factory.mktemp("s4c"))
    s4c.done("phantom", cascade.data, "--num-cases", 4, "--seed", 5, "--spacing-mm", 6)
    s4c.done("phantom", cascade.new, "--num-cases", 4, "--seed", 6, "--spacing-mm", 6)
    s4c.done("prepare", "--data", cascade.data, "--out", cascade.cache)
    for name, run in zip(RUNS, cascade.runs, strict=True):
        words = LONGER if name == "tiny-16" else FEW
        # Windows side by side: real scans are looked at once.
        stride = ("--infer.stride", RECIPES[name].data.patch)
        s4c.done("train", name, "--data", cascade.cache, "--out", run, *words, *stride)
    return cascade
