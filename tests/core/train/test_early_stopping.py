"""The best weights of a run, and its early end: the same whether or not it was interrupted."""

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
import pytest

from core import sharding
from core.train.checkpoint import checkpoint_steps, restore_model
from core.train.config import RunConfig
from core.train.early_stopping import best_step, is_stalled
from core.train.fit import fit
from core.train.log import ending
from core.train.run_folder import weights_folder
from core.train.state import State
from core.train.task import Task
from core.types import Batch
from tests.core.train import tiny
from tests.core.train.test_fit import assert_same_run

LOSSES = (5.0, 3.0, 4.0, 2.0, 2.0, 2.5, 9.0, 1.0)
"""Of the evaluations after steps 3, 6, … 24."""


class KilledError(Exception):
    """Stands for a kill."""


def evaluations(losses: Sequence[float | None], accuracies: Sequence[float] = ()) -> list:
    means = [{"loss": loss} for loss in losses]
    for mean, accuracy in zip(means, accuracies, strict=False):
        mean["accuracy"] = accuracy
    return list(enumerate(means, 1))


def task(losses: Sequence[float], killed_at: int | None = None) -> Task:
    """The tiny task, whose evaluations tell `losses`."""
    done = []

    def batches(start: int) -> Iterator[Batch]:
        for step, batch in enumerate(tiny.batches(start), start + 1):
            if step == killed_at:
                raise KilledError
            done[:] = [step]
            yield batch

    def evaluate(params: dict, model_state: dict) -> list:
        return [{"id": "a", "loss": losses[done[0] // 3 - 1]}]

    return tiny.build()._replace(batches=batches, evaluate=evaluate)


def train(workdir: Path, *, patience: int, losses=LOSSES, killed_at=None) -> State:
    config: RunConfig = dataclasses.replace(tiny.config(), evaluate_every=3, checkpoint_every=4)
    mesh, killed = sharding.mesh(jax.devices()[:1]), task(losses, killed_at)
    return fit(killed, config, mesh=mesh, workdir=workdir, resume=True, patience=patience)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ended early and was never interrupted."""
    workdir = tmp_path_factory.mktemp("stopped")
    train(workdir, patience=3)
    return workdir


def test_best_is_the_first_of_the_smallest_losses():
    assert best_step(evaluations([3.0, 2.0, 2.0, 2.5])) == 2
    assert best_step(evaluations([None, 2.0, None])) == 2
    assert best_step(evaluations([None])) is None
    assert best_step([(7, {"dsc": 0.5})]) is None
    assert best_step([]) is None


def test_a_run_is_stalled_when_neither_loss_nor_accuracy_got_better():
    flat = [1.0, 1.0, 1.0]
    assert is_stalled(evaluations(flat), 2)
    assert not is_stalled(evaluations(flat), 3)
    assert not is_stalled(evaluations(flat, [0.5, 0.5, 0.6]), 2)
    assert not is_stalled(evaluations([1.0, 1.0, 0.9], [0.5, 0.5, 0.5]), 2)
    # Better than the one before is not better than all before.
    assert is_stalled(evaluations([1.0, 3.0, 2.0], [0.9, 0.7, 0.8]), 2)
    assert not is_stalled(evaluations(flat), 0)
    assert not is_stalled([], 1)


def test_the_run_ends_early_and_keeps_the_weights_of_the_smallest_loss(stopped: Path):
    # The smallest loss is that of step 12; three evaluations later none was smaller.
    assert ending(stopped / "metrics.jsonl") == {"stopped_at": 21, "best_step": 12}
    assert max(checkpoint_steps(stopped / "best")) == 12
    assert max(checkpoint_steps(stopped / "checkpoints")) == 21
    assert weights_folder(stopped) == stopped / "best"


def test_best_weights_are_those_of_their_step(stopped: Path, tmp_path: Path):
    short = dataclasses.replace(tiny.config(), steps=12)
    state = fit(task(LOSSES), short, mesh=sharding.mesh(jax.devices()[:1]), workdir=tmp_path)
    params, model_state = restore_model(stopped / "best")
    jax.tree.map(np.testing.assert_array_equal, params, state.params)
    jax.tree.map(np.testing.assert_array_equal, model_state, state.model_state)


@pytest.mark.parametrize("killed_at", [2, 5, 7, 11, 13, 16, 21])
def test_killed_and_resumed_it_ends_at_the_same_step_with_the_same_best(
    stopped: Path, tmp_path: Path, killed_at: int
):
    with pytest.raises(KilledError):
        train(tmp_path, patience=3, killed_at=killed_at)
    train(tmp_path, patience=3)
    assert_same_run(tmp_path, stopped)


def test_weights_of_a_lost_part_do_not_stay_the_best(tmp_path: Path):
    """Steps 10 … 12 were lost; done again on another machine, they may end a little worse."""
    with pytest.raises(KilledError):
        train(tmp_path, patience=0, killed_at=13)
    for step in (s for s in checkpoint_steps(tmp_path / "checkpoints") if s > 9):
        (tmp_path / "checkpoints" / str(step)).rename(tmp_path / "lost")
    worse = (*LOSSES[:3], *[3.5] * 5)
    train(tmp_path, patience=0, losses=worse)
    assert max(checkpoint_steps(tmp_path / "best")) == 6


def test_a_run_that_ended_early_does_not_go_on(stopped: Path):
    before = (stopped / "metrics.jsonl").read_text()
    assert int(train(stopped, patience=3).step) == 21
    assert (stopped / "metrics.jsonl").read_text() == before


def test_without_patience_the_run_goes_to_its_end(tmp_path: Path):
    assert int(train(tmp_path, patience=0).step) == tiny.STEPS
    assert ending(tmp_path / "metrics.jsonl") == {"stopped_at": 24, "best_step": 24}


def test_an_undefined_loss_is_never_the_best(tmp_path: Path):
    train(tmp_path, patience=0, losses=(math.nan, 2.0, *[math.nan] * 6))
    assert checkpoint_steps(tmp_path / "best") == [6]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [r["evaluation"]["loss"] for r in lines if "evaluation" in r][:2] == [None, 2.0]


def test_without_a_validated_loss_the_newest_checkpoint_is_taken(tmp_path: Path):
    constant = tiny.build()._replace(evaluate=lambda *_: [{"id": "a", "dsc": 0.5}])
    short = dataclasses.replace(tiny.config(), steps=3)
    fit(constant, short, mesh=sharding.mesh(jax.devices()[:1]), workdir=tmp_path)
    assert weights_folder(tmp_path) == tmp_path / "checkpoints"
    assert ending(tmp_path / "metrics.jsonl") == {}


def test_a_run_that_is_not_evaluated_has_no_best_weights(tmp_path: Path):
    short = dataclasses.replace(tiny.config(), steps=3)
    unjudged = tiny.build()._replace(evaluate=None)
    fit(unjudged, short, mesh=sharding.mesh(jax.devices()[:1]), workdir=tmp_path)
    assert not (tmp_path / "best").exists()
    assert weights_folder(tmp_path) == tmp_path / "checkpoints"
