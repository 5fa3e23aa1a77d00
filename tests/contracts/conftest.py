"""Systems that all tests of commands share: a process trains each once, not once for every file."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.contracts.commands import COMMANDS
from tests.contracts.systems import System, predict_all, train_system


@pytest.fixture(scope="session")
def train_once(tmp_path_factory) -> Callable[[str], System]:
    return cache(lambda name: train_system(name, tmp_path_factory.mktemp("system")))


@pytest.fixture(scope="session")
def predict_once(train_once, tmp_path_factory) -> Callable[[str], Path]:
    return cache(
        lambda name: predict_all(train_once(name), tmp_path_factory.mktemp("output") / "out")
    )


SYSTEMS = [
    # A second system of S4C, whose commands are those of the first.
    pytest.param(name, marks=pytest.mark.slow if name == "s4c-classifier" else ())
    for name in COMMANDS
]


@pytest.fixture(scope="module", params=SYSTEMS)
def system(request, train_once) -> System:
    return train_once(request.param)


@pytest.fixture(scope="module")
def output(system, predict_once) -> Path:
    """Predictions of all six patients."""
    return predict_once(system.name)
