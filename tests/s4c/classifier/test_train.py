"""A classifier learns from whom its coarse network learned, from its features alone."""

import json
import shutil
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from core.config import fingerprint
from core.data.cache import open_case
from core.train.checkpoint import restore_model
from core.train.run_folder import read_division
from core.train.state import create
from core.train.step import make_step
from s4c.classifier.coarse import read_coarse
from s4c.classifier.data import Example
from s4c.classifier.infer import asker
from s4c.classifier.train import build
from s4c.config import LossConfig, ModelConfig
from s4c.prepare import find_cache, open_cases
from s4c.recipes import SEGMENTATION
from s4c.train import train
from tests.refusals import refused
from tests.s4c.classifier.runs import COARSE, FOLD, OTHER_NETWORK, TINY, Runs, coarse_run, make_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    return make_runs(tmp_path_factory.mktemp("classifier"))


def test_it_holds_out_whom_its_coarse_run_holds_out(runs):
    division = read_division(runs.classifier)
    assert division == read_division(runs.coarse)
    assert division.fold == FOLD
    lines = map(json.loads, (runs.classifier / "metrics.jsonl").read_text().splitlines())
    (rows,) = (line["rows"] for line in lines if "rows" in line)
    assert tuple(row["id"] for row in rows) == division.test
    # Held-out cases choose no weights.
    assert all("loss" not in row for row in rows)


def test_what_it_is_built_on_is_recorded(runs):
    known = read_coarse(runs.classifier)
    assert known.path == str(runs.coarse.resolve())
    assert (known.step, known.fingerprint) == (0, fingerprint(COARSE))


def test_a_run_that_goes_on_ends_with_the_same_bits_and_knows_its_coarse_run(runs, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(runs.classifier, out)
    for last in (out / "checkpoints" / "3", out / "features" / "phantom_000"):
        shutil.rmtree(last)
    (out / "manifest.json").unlink()
    train(TINY, [runs.cache], out, resume=True)
    for ours, whole in zip(*map(leaves, (out, runs.classifier)), strict=True):
        np.testing.assert_array_equal(ours, whole)


def leaves(run):
    return jax.tree.leaves(restore_model(run / "checkpoints"))


def test_a_run_does_not_go_on_with_features_of_other_weights(runs, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(runs.classifier, out)
    moved = shutil.copytree(runs.coarse, tmp_path / "moved")
    train(TINY, [runs.cache], out, coarse=moved, resume=True)  # the same, at another place
    other = coarse_run(runs.cache, tmp_path / "other", FOLD, OTHER_NETWORK)
    with refused(out, str(runs.coarse), str(other), hint="start a new one"):
        train(TINY, [runs.cache], out, coarse=other, resume=True)


def test_without_a_coarse_run_nothing_is_trained(runs, tmp_path):
    with refused(None, "features of a segmentation network", hint="--coarse"):
        train(TINY, [runs.cache], tmp_path / "run")


def test_a_coarse_run_is_of_a_network_that_segments(runs, tmp_path):
    with refused(runs.classifier, "segments nothing", hint="pdac-64"):
        train(TINY, [runs.cache], tmp_path / "run", coarse=runs.classifier)
    unet = replace(COARSE, model=ModelConfig("unet3d", width=2, num_aux=0), loss=LossConfig(()))
    compared = coarse_run(runs.cache, tmp_path / "unet", FOLD, unet)
    with refused(compared, "is of a unet3d"):
        train(TINY, [runs.cache], tmp_path / "run", coarse=compared)
    with refused(None, "--coarse is for classifiers"):
        train(SEGMENTATION["tiny-16"], [runs.cache], tmp_path / "run", coarse=runs.coarse)


def test_another_fold_or_other_data_than_the_coarse_run_has_are_refused(runs, tmp_path):
    with refused(runs.coarse, "is of fold 1, and --fold is 0", hint="leave --fold out"):
        train(TINY, [runs.cache], tmp_path / "run", fold=0, coarse=runs.coarse)
    of_all = coarse_run(runs.cache, tmp_path / "all", None)
    shutil.copy(runs.coarse / "folds.json", of_all)
    stored = json.loads((of_all / "folds.json").read_text())
    changed = {**stored, "images": {**stored["images"], "another": "train"}}
    (of_all / "folds.json").write_text(json.dumps(changed))
    with refused(of_all, "other cases than --data holds", hint="data that it was trained on"):
        train(TINY, [runs.cache], tmp_path / "run", coarse=of_all)


def test_a_damaged_record_of_the_coarse_run_is_told(runs, tmp_path):
    run = shutil.copytree(runs.classifier, tmp_path / "run")
    (run / "coarse.json").write_text('{"path": "x"}')
    with refused(run / "coarse.json", "is damaged", hint="train again"):
        train(TINY, [runs.cache], run, resume=True)


def test_phantoms_are_told_apart_by_features_of_random_weights(runs, tmp_path):
    """All six are learned from: no estimate for others, but every part has to work for it."""
    coarse, out = coarse_run(runs.cache, tmp_path / "coarse", None), tmp_path / "run"
    cfg = replace(TINY, run=replace(TINY.run, steps=300, checkpoint_every=300))
    cfg = replace(cfg, optim=replace(cfg.optim, learning_rate=0.05))
    train(cfg, [runs.cache], out, coarse=coarse)
    assert read_division(out).test == ()
    ask = asker(cfg.model, restore_model(out / "checkpoints")[0])
    cases = open_cases(find_cache([runs.cache], COARSE.prepare, out))
    features = [open_case(out / "features", case.id).arrays["features"][...] for case in cases]
    called = [ask(array) >= 0.5 for array in features]
    # Half are abnormal: by chance all six are right once in 64 times.
    assert called == [case.is_abnormal for case in cases]


def test_a_training_learns_which_regions_have_a_bright_spot():
    """Of two kinds that no mean of the input tells apart."""
    random = np.random.default_rng(0)

    def example(number: int) -> Example:
        features = random.standard_normal((2, 3, 4, 4)).astype(np.float32)
        if number % 2:
            features[1, 1, 1:3] += 3.0
        features -= features.mean((0, 1, 2))
        return Example(f"{number}", f"{number}", features, bool(number % 2))

    cfg = replace(TINY, run=replace(TINY.run, steps=200))
    cfg = replace(cfg, optim=replace(cfg.optim, learning_rate=0.02))
    task = build(cfg, [example(number) for number in range(24)], [example(n) for n in range(8)])
    rows = trained(task, cfg)
    assert np.mean([row["right"] for row in rows]) >= 7 / 8


def trained(task, cfg):
    """Rows of an evaluation after a whole training."""
    step = jax.jit(make_step(task, cfg.run.seed))
    state = jax.jit(partial(create, task, cfg.run.seed))()
    for batch in task.batches(0):
        state, metrics = step(state, batch)
        assert np.isfinite(metrics["loss"])
    return task.evaluate(state.params, state.model_state)
