"""Training from another run's parameters."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from core.errors import InputError
from core.infer.load import load_runs
from core.train.run_folder import read_division
from lnmet.config import Config
from lnmet.model import INTENSITIES
from lnmet.segmentation_train import build
from lnmet.train import train
from lnmet.weights import START, start_of, starting_params
from tests.lnmet.phantoms import prepared
from tests.lnmet.tiny import phantoms, tiny
from tests.refusals import refused

CFG = tiny("tiny-pdac-arterial")


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """A finished run."""
    root = tmp_path_factory.mktemp("first")
    train(CFG, [phantoms(root / "data")], root / "run")
    return root / "run"


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    """Other patients, one of them the first run's."""
    return phantoms(tmp_path_factory.mktemp("other") / "data", seed=1, num_cases=3)


@pytest.fixture(scope="module")
def tuned(first, other, tmp_path_factory) -> Path:
    """A run that started from the first one."""
    run = tmp_path_factory.mktemp("tuned") / "run"
    train(CFG, [other], run, weights=first)
    return run


def weights(run: Path):
    (opened,) = load_runs(Config, [run], allow_unfinished=False)
    return opened.weights()


def manifest(run: Path) -> dict:
    return json.loads((run / "manifest.json").read_text())


def test_a_task_starts_from_parameters_with_the_intensities_of_its_own_cases():
    (a, b), key = (prepared(str(seed), seed=seed) for seed in (0, 1)), jax.random.key(0)
    cfg = replace(CFG, data=replace(CFG.data, phases=("venous",)))
    params = build(cfg, [a]).init(jax.random.key(7))["params"]
    own, started = build(cfg, [b]).init(key), build(cfg, [b], params=params).init(key)
    jax.tree.map(np.testing.assert_array_equal, started["params"], params)
    jax.tree.map(np.testing.assert_array_equal, started[INTENSITIES], own[INTENSITIES])


def test_fine_tuning_begins_where_the_other_run_ended(first, other, tmp_path):
    # A step so short that float32 cannot tell it.
    still = replace(CFG, optim=replace(CFG.optim, learning_rate=1e-20))
    train(still, [other], tmp_path / "run", weights=first)
    (theirs, states), (ours, own_states) = weights(first), weights(tmp_path / "run")
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    assert (own_states[INTENSITIES]["mean"] != states[INTENSITIES]["mean"]).all()


def test_the_manifest_tells_the_starting_run(first, tuned):
    note = manifest(tuned)["weights"]
    assert note == {
        "path": str(first.resolve()),
        "step": CFG.run.steps,
        "fingerprint": manifest(first)["fingerprint"],
    }
    assert manifest(first)["weights"] is None


def test_what_the_starting_run_learned_from_is_learned_from(first, tuned):
    before, after = read_division(first), read_division(tuned)
    assert before.images.keys() < after.images.keys()
    assert before.patients.keys() <= after.patients.keys()
    assert set(after.images.values()) == {"train"}
    assert len(after.train) == 3


def test_a_held_out_case_that_the_starting_run_saw_is_no_test(first, tmp_path):
    data = first.parent / "data"
    train(CFG, [data], tmp_path / "run", fold=0, weights=first)
    division = read_division(tmp_path / "run")
    assert division.test
    assert set(division.images.values()) == {"train"}


def test_a_run_goes_on_without_the_flag_and_the_starting_run(first, other, tuned, tmp_path):
    start = shutil.copytree(first, tmp_path / "start")
    train(CFG, [other], tmp_path / "run", weights=start)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "2")
    (tmp_path / "run" / "manifest.json").unlink()
    shutil.rmtree(start)
    train(CFG, [other], tmp_path / "run", resume=True)
    assert manifest(tmp_path / "run")["weights"]["path"] == str(start)
    (ours, _), (whole, _) = weights(tmp_path / "run"), weights(tuned)
    jax.tree.map(np.testing.assert_array_equal, ours, whole)
    # And with the flag it had.
    train(CFG, [other], tmp_path / "run", resume=True, weights=start)


def test_a_run_that_goes_on_cannot_start_elsewhere(first, other, tuned, tmp_path):
    run = shutil.copytree(tuned, tmp_path / "run")
    elsewhere = shutil.copytree(first, tmp_path / "elsewhere")
    with refused(run, "was started from step 2 of", "elsewhere", hint="leave --weights out"):
        train(CFG, [other], run, resume=True, weights=elsewhere)
    (run / START).unlink()
    with refused(run, "was started with random parameters", hint="start a new run"):
        train(CFG, [other], run, resume=True, weights=first)


def test_a_run_without_a_checkpoint_begins_where_the_other_ended_again(first, tuned, tmp_path):
    start = start_of(tmp_path, first, CFG)
    assert json.loads((tmp_path / START).read_text())["path"] == str(first.resolve())
    (tmp_path / "metrics.jsonl").touch()
    assert start_of(tmp_path, None, CFG) == start
    jax.tree.map(np.testing.assert_array_equal, starting_params(tmp_path, start), weights(first)[0])
    assert starting_params(tuned, start) is None
    assert starting_params(tmp_path, None) is None


def test_a_call_that_was_refused_leaves_no_start(first, tmp_path):
    assert start_of(tmp_path, first, CFG)
    assert start_of(tmp_path, None, CFG) is None
    assert not (tmp_path / START).exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (replace(CFG, model=replace(CFG.model, features=(2, 2, 2, 4))), r"features: .* there and"),
        (
            replace(CFG, model=replace(CFG.model, strides=((1, 1, 1), (1, 2, 2)) * 2)),
            r"strides: .* there and",
        ),
        (
            replace(CFG, data=replace(CFG.data, phases=("arterial", "venous"))),
            "another network: 1 phases there and 2 here",
        ),
        (replace(CFG, data=replace(CFG.data, target="organs")), "2 classes there and 11 here"),
    ],
)
def test_parameters_of_another_network_are_refused(first, other, tmp_path, changed, message):
    with pytest.raises(InputError, match=message):
        train(changed, [other], tmp_path / "run", weights=first)


def test_parameters_go_over_to_another_phase_and_compute_type(first, tmp_path):
    venous = replace(
        CFG,
        data=replace(CFG.data, phases=("venous",)),
        model=replace(CFG.model, dtype="bfloat16"),
    )
    start = start_of(tmp_path, first, venous)
    assert start is not None
    assert start.step == CFG.run.steps


def test_a_folder_that_is_no_run_is_refused(other, tmp_path):
    with refused(tmp_path / "none", "is no run"):
        train(CFG, [other], tmp_path / "run", weights=tmp_path / "none")
