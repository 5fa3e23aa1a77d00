"""A cascade trained for a few steps: it knows nothing, and everything around it is real."""

from pathlib import Path

import pytest

from core import cli
from s4c.cli import COMMANDS, DESCRIPTION
from s4c.config import RECIPES

RUNS = ("tiny-64", "tiny-32", "tiny-16")
# Eight devices share the tests' process: eight examples are one each.
FEW = ["--run.steps", "2", "--data.batch", "8", "--model.width", "2", "--infer.batch", "1"]


def s4c(*words: object) -> int:
    """Exit status of `s4c WORDS` in this process."""
    args = [str(word) for word in words]
    return cli.run(COMMANDS, prog="s4c", description=DESCRIPTION, recipes=RECIPES, args=args)


class Trained:
    """A phantom data set and three networks."""

    def __init__(self, root: Path) -> None:
        self.root, self.data, self.cache = root, root / "phantoms", root / "cache"
        self.runs = [root / "runs" / name for name in RUNS]

    def screen(self, *inputs: object, out: Path) -> int:
        """Exit status of screening with the whole cascade."""
        runs = [word for run in self.runs for word in ("--run", run)]
        return s4c("screen", *inputs, *runs, "--out", out)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    cascade = Trained(tmp_path_factory.mktemp("s4c"))
    assert s4c("phantom", cascade.data, "--num-cases", 4, "--seed", 5, "--spacing-mm", 6) == 0
    assert s4c("prepare", "--data", cascade.data, "--out", cascade.cache) == 0
    for name, run in zip(RUNS, cascade.runs, strict=True):
        assert s4c("train", name, "--data", cascade.cache, "--out", run, *FEW) == 0
    return cascade
