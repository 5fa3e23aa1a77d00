"""A trained system of a paper, for the tests of its commands, and what these look at."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.contracts.commands import COMMANDS, Commands


class System(NamedTuple):
    """A paper, a data set of six patients, its cache, and a system trained on a part of them."""

    name: str
    """Of the paper among COMMANDS."""
    paper: Commands
    data: Path
    cache: Path
    runs: Path
    learned: dict[str, set[str]]
    """Digests of the cases that the batches of each run are drawn from."""


def train_system(name: str, root: Path) -> System:
    """Prepare six patients, and train a run of each recipe that a system needs."""
    paper, data, cache, runs = COMMANDS[name], root / "data", root / "cache", root / "runs"
    paper.write(data, 0, 6)
    assert paper.prepare("--data", data, "--out", cache) == 0
    learned = {}
    for recipe in paper.recipes:
        words = ("--data", cache, "--out", runs / recipe, *paper.train_words(recipe, runs))
        with learned_from(paper, recipe) as learned[recipe]:
            assert paper("train", recipe, *words) == 0
    return System(name, paper, data, cache, runs, learned)


def predict_all(system: System, out: Path) -> Path:
    """Predictions of all six patients."""
    words = (*system.paper.runs(system.runs), "--out", out)
    assert system.paper(system.paper.verb, *system.paper.inputs(system.data), *words) == 0
    return out


@contextmanager
def learned_from(paper: Commands, name: str) -> Iterator[set[str]]:
    """Digests of the cases that a training inside draws batches from."""
    module, digests = import_module(paper.training_of(name)), set()
    batch_maker = module.batch_maker

    def watched(examples, *args, **kwargs):
        digests.update(getattr(example, "series", example).digest for example in examples)
        return batch_maker(examples, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "batch_maker", watched)
        yield digests


def results(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


def index(cache: Path) -> dict:
    (path,) = cache.glob("*/index.json")
    return json.loads(path.read_text())


def refused(capsys, paper, *words) -> str:
    """The one line of a call that is wrong."""
    capsys.readouterr()
    assert paper(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line
