"""Training: parts by patient, rows per patient, the rate, best weights, any number of devices."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core import sharding
from core.data.index import Contents, Entry
from core.errors import InputError
from core.train.checkpoint import checkpoint_steps, restore_model
from core.train.config import RunConfig
from core.train.run_folder import read_division, weights_folder
from fee import train as training
from fee.config import Config, OptimConfig, SplitConfig, StopConfig
from fee.data import PreparedSeries, examples
from fee.metrics import evaluator
from fee.networks import network
from fee.recipes import RECIPES
from fee.train import build, divide, length, optimizer, train
from tests.fee.test_data import SIZE
from tests.fee.test_data import prepared as case
from tests.fee.tiny import config

CASES = [case(f"{name}1", tumor=n % 2 == 0) for n, name in enumerate("abcdefghij")]
TASKS = ("locate", "segment", "diagnose")


def small(task: str, **changes) -> Config:
    cfg = config(task)
    run = RunConfig(epochs=2, log_every=2, checkpoint_every=3)
    return replace(cfg, run=run, data=replace(cfg.data, batch=8), **changes)


def _stand_in(patch: pytest.MonkeyPatch, series: Sequence[PreparedSeries]) -> None:
    patch.setattr(training, "find_cache", lambda *_, **__: Path("unused"))
    patch.setattr(training, "open_series", lambda _: list(series))
    entries = {stack.id: Entry((), stack.patient, {}) for stack in series}
    index = {Path("unused"): Contents(entries)}
    patch.setattr("core.commands.train.read_index", lambda _: index)


@pytest.fixture
def cached(monkeypatch) -> None:
    """Ten patients stand in for what `prepare` left."""
    _stand_in(monkeypatch, CASES)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("fee") / "run"
    with pytest.MonkeyPatch.context() as patch:
        _stand_in(patch, CASES)
        train(small("segment"), [Path("unused")], out)
    return out


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_is_validated_after_every_epoch_with_a_row_per_patient(run):
    folds = json.loads((run / "folds.json").read_text())
    evaluations = [line for line in lines(run) if "rows" in line]
    # Six patients with four slices each in batches of 8: three steps an epoch.
    assert [line["step"] for line in evaluations] == [3, 6]
    for line in evaluations:
        assert [row["id"] for row in line["rows"]] == folds["val"]
        assert all(set(row) == {"id", "loss", "accuracy", "dsc", "miou"} for row in line["rows"])


def test_the_third_part_is_held_out(run):
    folds = json.loads((run / "folds.json").read_text())
    assert [len(folds[part]) for part in ("train", "val", "test")] == [6, 2, 2]
    assert sorted(folds["train"] + folds["val"] + folds["test"]) == list("abcdefghij")
    division = read_division(run)
    assert division.patients == {p: part for part in ("train", "val", "test") for p in folds[part]}
    assert division.images == {case.digest: division.patients[case.patient] for case in CASES}
    assert division.fold is None


def test_the_best_weights_are_kept_and_used(run):
    manifest = json.loads((run / "manifest.json").read_text())
    losses = {r["step"]: r["evaluation"]["loss"] for r in lines(run) if "rows" in r}
    best = min(losses, key=lambda step: losses[step])
    assert (manifest["best_step"], manifest["stopped_at"]) == (best, 6)
    assert max(checkpoint_steps(run / "best")) == best
    assert weights_folder(run) == run / "best"
    predict = network(small("segment"), *restore_model(run / "best"), sharding.mesh())
    probs = predict(np.zeros((3, SIZE, SIZE), np.uint8), None)
    assert probs.shape == (3, SIZE, SIZE)
    assert ((probs > 0) & (probs < 1)).all()


def test_a_run_goes_on_only_with_its_own_config_and_is_not_started_twice(run, cached):
    with pytest.raises(InputError, match="already holds a run"):
        train(small("segment"), [Path("unused")], run)
    with pytest.raises(InputError, match=r"split\.seed"):
        train(small("segment", split=SplitConfig(seed=1)), [Path("unused")], run, resume=True)
    train(small("segment"), [Path("unused")], run, resume=True)


def test_a_run_that_gets_no_better_ends_early(cached, tmp_path):
    still = small("segment", stop=StopConfig(patience=1), optim=OptimConfig(1e-30))
    still = replace(
        still, run=replace(still.run, epochs=9), model=replace(still.model, norm_momentum=1.0)
    )
    train(still, [Path("unused")], tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    # Nothing moves: the second epoch is no better than the first.
    assert (manifest["best_step"], manifest["stopped_at"]) == (3, 6)


def test_all_tasks_hold_out_the_same_patients():
    cases = [*CASES, *(case(f"{name}1", tumor=None, has_mask=False) for name in "klmno")]
    parts = {divide(cases, small(task))[0] for task in TASKS}
    assert len(parts) == 1
    (only,) = parts
    for part in only:
        assert abs(sum(patient in "acegi" for patient in part) - len(part) / 3) <= 1


def test_no_patient_is_in_two_parts():
    cases = [c._replace(id=f"{c.patient}{n}") for c in CASES for n in range(2)]
    _, learned, validated = divide(cases, small("locate"))
    assert not {e.series.patient for e in learned} & {e.series.patient for e in validated}
    assert len(learned) == 6 * 2 * 6


def test_a_split_by_image_is_as_asked_and_warns(caplog):
    cfg = small("locate", split=SplitConfig(by="image"))
    parts, learned, validated = divide(CASES, cfg)
    assert [len(part) for part in parts] == [36, 12, 12]
    assert {e.name for e in learned} == set(parts.train)
    assert {e.name for e in validated} == set(parts.val)
    assert "split by image" in caplog.text


def test_a_run_split_by_image_records_its_images(monkeypatch, tmp_path):
    _stand_in(monkeypatch, CASES)
    cfg = small("locate", split=SplitConfig(by="image"))
    train(replace(cfg, run=RunConfig(steps=1, log_every=1)), [Path("unused")], tmp_path)
    division = read_division(tmp_path)
    assert len(division.train) == 36
    assert set(division.images) == {case.digest for case in CASES}
    # A series of which one slice is learned from counts as learned from.
    learned = {name.split(":")[0] for name in division.train}
    assert all(division.images[case.digest] == "train" for case in CASES if case.id in learned)


def test_too_few_patients_are_refused():
    with pytest.raises(InputError, match="3 patients"):
        divide(CASES[:3], small("locate"))


def test_an_epoch_is_a_pass_over_the_slices():
    cfg = small("locate")
    run = length(cfg, 20)
    # 2 · 20 / 8 steps, and an evaluation after 20 / 8, both rounded up.
    assert (run.steps, run.evaluate_every) == (5, 3)
    every = replace(cfg, run=replace(cfg.run, evaluate_every=2))
    assert length(every, 20).evaluate_every == 2


@pytest.mark.parametrize(("task", "factor"), [("locate", 0.1), ("segment", 0.05)])
def test_the_rate_falls_after_every_twenty_epochs(task, factor):
    cfg = RECIPES[task].optim
    tx = optimizer(cfg, steps_per_epoch=1.5)
    # A gradient that never changes moves a parameter by the rate, whatever its size.
    param = jnp.ones(())
    state, moved = tx.init(param), []
    update = jax.jit(tx.update)
    for _ in range(61):
        change, state = update(jnp.ones(()), state, param)
        moved.append(-float(change))
    first = cfg.learning_rate
    expected = [first] * 30 + [first * factor] * 30 + [first * factor**2]
    # 1 − 0.999ⁿ in float32 keeps about four digits of the first steps.
    np.testing.assert_allclose(moved, expected, rtol=1e-3)


def test_without_drops_the_rate_stays():
    cfg = OptimConfig(5e-5, drop_epochs=0)
    tx, param = optimizer(cfg, steps_per_epoch=1), jnp.ones(())
    state = tx.init(param)
    for _ in range(3):
        change, state = tx.update(jnp.ones(()), state, param)
    assert -float(change) == pytest.approx(5e-5, rel=1e-3)


def constant(monkeypatch, probability: float) -> None:
    def fake(cfg: Config, params, model_state, mesh):
        shape = (SIZE, SIZE) if cfg.task == "segment" else ()
        return lambda image, mask: np.full((len(image), *shape), probability, np.float32)

    monkeypatch.setattr("fee.metrics.network", fake)


@pytest.mark.parametrize("num_patients", [1, 2])
def test_rows_are_formulas_of_probability_and_truth(monkeypatch, num_patients):
    constant(monkeypatch, 0.75)
    cases = CASES[:num_patients]
    rows = evaluator(small("locate"), examples(cases, small("locate")))({}, {})
    assert [row["id"] for row in rows] == list("ab"[:num_patients])
    # Four of six slices show the pancreas.
    assert rows[0]["accuracy"] == pytest.approx(4 / 6)
    assert rows[0]["loss"] == pytest.approx(-(4 * np.log(0.75) + 2 * np.log(0.25)) / 6)
    (row, *_) = evaluator(small("segment"), examples(cases, small("segment")))({}, {})
    share = 16 * 16 / SIZE**2
    assert row["accuracy"] == pytest.approx(share)
    assert row["dsc"] == pytest.approx(2 * share / (1 + share))
    # Everything is called pancreas: its IoU is its share, that of the background 0.
    assert row["miou"] == pytest.approx(share / 2)


def test_a_sure_mistake_has_a_finite_loss(monkeypatch):
    constant(monkeypatch, 1.0)
    cfg = small("diagnose")
    well = [c for c in CASES if not c.tumor][:1]
    (row,) = evaluator(cfg, examples(well, cfg))({}, {})
    assert row["loss"] == pytest.approx(-np.log(1e-7), rel=1e-6)
    assert row["accuracy"] == 0


def test_weights_of_a_resnet_do_not_fit_a_unet(tmp_path):
    task = build(small("segment"), examples(CASES[:1], small("segment")), weights=tmp_path / "w")
    with pytest.raises(InputError, match="w"):
        jax.eval_shape(task.init, jax.random.key(0))
