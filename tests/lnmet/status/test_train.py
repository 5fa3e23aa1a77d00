"""Training on a few scans of noise, and asking what was trained."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from core import sharding
from core.commands.prepare import load
from core.csv_io import write_csv
from core.train.run_folder import read_division
from lnmet.asking import positive
from lnmet.config import FineTuningConfig
from lnmet.data import Prepared
from lnmet.labels import PDAC
from lnmet.model import status
from lnmet.prepare import cache_name, open_cases, prepare
from lnmet.status.config import StatusConfig
from lnmet.status.data import Example, scan_of
from lnmet.status.infer import load_system, open_runs, predict_cases
from lnmet.status.pretrained import PRETRAINED, starting_file, unless_trained
from lnmet.status.train import build, length, optimizer
from lnmet.status.volumes import VOLUMES
from lnmet.train import train
from tests.lnmet.status.phantoms import cases_of, tiny_status
from tests.lnmet.tiny import volume, write_raw
from tests.refusals import refused

TINY, KEY = tiny_status(), jax.random.key(0)
CFG = replace(TINY, prepare=replace(TINY.prepare, spacing_mm=(2.0, 1.0, 1.0)))
NAMES = [f"p{number}" for number in range(5)]
POSITIVE = NAMES[:2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """Prepared scans of noise with a tumor; each has a metastatic node, two are positive."""
    root, label = tmp_path_factory.mktemp("data"), np.zeros((6, 20, 20), np.uint8)
    label[2:5, 6:14, 8:13], label[1, 2:4, 2:4] = 1, 2
    images = {
        name: [volume(np.random.default_rng((n, c)).integers(-99, 99, label.shape)) for c in (0, 1)]
        for n, name in enumerate(NAMES)
    }
    ids = {"PDAC": 1, "metastatic lymph node": 2}
    data = write_raw(root / "data", images, dict.fromkeys(NAMES, volume(label)), ids)
    rows = [{"patient": name, "status": int(name in POSITIVE)} for name in NAMES]
    write_csv(data / "status.csv", rows)
    assert not prepare([data], root / "cache", CFG.prepare)
    return root / "cache"


@pytest.fixture(scope="module")
def run(cache, tmp_path_factory) -> Path:
    """A finished run that holds a fold out."""
    folder = tmp_path_factory.mktemp("run") / "run"
    train(CFG, [cache], folder, fold=0)
    return folder


def opened(cache: Path) -> list[Prepared]:
    return open_cases(cache / cache_name(CFG.prepare))


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_keeps_the_weights_that_its_validation_patients_choose(run):
    (evaluation,) = [line for line in lines(run) if "evaluation" in line]
    ids = [row["id"] for row in evaluation["rows"]]
    division = read_division(run)
    assert sorted(ids) == sorted(division.val)
    assert not {*division.train, *division.val} & set(division.test)
    assert evaluation["evaluation"]["loss"] == pytest.approx(
        np.mean([row["loss"] for row in evaluation["rows"]])
    )
    assert any((run / "best").iterdir())


def test_what_the_network_was_told_is_in_the_run_folder(run):
    division = read_division(run)
    told = json.loads((run / VOLUMES).read_text())["of_case"]
    assert told.keys() == {*division.train, *division.val}
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["nodes"]["source"] == "annotated nodes"
    assert manifest["weights"] is None


def test_a_killed_run_ends_as_an_uninterrupted_one(cache, run, tmp_path):
    """It goes on from its first step, without its last checkpoint."""
    again = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(again / "checkpoints" / str(CFG.run.steps))
    (again / "manifest.json").unlink()
    train(CFG, [cache], again, fold=0, resume=True)
    assert lines(again)[-1]["rows"] == lines(run)[-1]["rows"]
    weights = [open_runs([folder])[0].weights() for folder in (run, again)]
    jax.tree.map(np.testing.assert_array_equal, *weights)


def test_answers_are_means_over_pictures_and_folds(cache, run):
    runs, mesh, cases = open_runs([run]), sharding.mesh(), opened(cache)
    volumes = {case.id: 50.0 * number for number, case in enumerate(cases)}
    rows = predict_cases(runs, cases, volumes, mesh)
    system, division = load_system(runs, mesh), read_division(run)
    for case, row in zip(cases, rows, strict=True):
        logits = system.asks[0](scan_of(case), volumes[case.id])
        assert logits.shape == (9, 2)
        probs = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(1, keepdims=True)
        assert row["score"] == pytest.approx(probs[:, 1].mean(), rel=1e-6)
        assert row["part"] in ("train", "val", "test")
        assert row["id"] in getattr(division, row["part"])
        assert (row["decision"] == "positive") is (row["score"] >= 0.5)
        assert row["status"] is (case.id in POSITIVE)
    twice = system._replace(asks=[system.asks[0], lambda scan, volume: np.zeros((9, 2))])
    assert twice.of_scan(scan_of(cases[0]), 0.0) == pytest.approx((rows[0]["score"] + 0.5) / 2)


def test_arrays_on_the_grid_are_answered_as_prepared_cases_are(cache, run):
    system, case = load_system(open_runs([run]), sharding.mesh()), opened(cache)[0]
    image, tumor = case.image[...], case.label[...] == PDAC
    assert system(image, tumor, 7.0) == system.of_scan(scan_of(case), 7.0)
    with refused(None, "no tumor"):
        system(image, np.zeros_like(tumor), 7.0)


def test_the_decision_is_by_the_threshold(cache, run):
    strict = load_system(open_runs([run]), sharding.mesh(), {"infer.threshold": 1.0})
    assert not strict.is_positive(0.99)
    assert load_system(open_runs([run]), sharding.mesh()).is_positive(0.5)


def test_probabilities_are_of_the_second_class():
    logits = np.array([[0.0, 0.0], [0.0, np.log(3)], [1000.0, 0.0]], np.float32)
    np.testing.assert_allclose(positive(logits), [0.5, 0.75, 0.0], rtol=1e-6)


def test_an_epoch_is_all_pictures_and_ends_with_an_evaluation():
    cfg = replace(CFG, run=replace(CFG.run, steps=0, epochs=3))
    # 5 patients of 9 pictures, 8 a step: 135 / 8 steps in all, an epoch is 45 / 8.
    assert (length(cfg, 5).steps, length(cfg, 5).evaluate_every) == (17, 6)
    assert length(CFG, 5).evaluate_every == 0


def test_frozen_parts_stay_and_count_in_no_norm():
    cfg = replace(CFG, model=replace(CFG.model, frozen=("conv1", "layer1")))
    params = jax.eval_shape(lambda key: status.init(cfg.model, key, (1, 16, 16, 3)), KEY)["params"]
    params = jax.tree.map(lambda like: np.full(like.shape, 0.5, like.dtype), params)
    grads = jax.tree.map(lambda p: np.full(p.shape, 1e6, p.dtype), params)
    frozen = status.frozen_parts(params, cfg.model.frozen)
    tx = optimizer(replace(cfg, optim=FineTuningConfig(clip_norm=1.0)), 10)  # SGD with decay
    updates, _ = jax.jit(lambda g, p: tx.update(g, tx.init(p), p))(grads, params)
    moved = jax.tree.map(lambda update: bool(np.any(update)), updates)
    assert jax.tree.map(lambda is_frozen: not is_frozen, frozen) == moved
    assert any(jax.tree.leaves(frozen))
    # The gradient of what is trained is cut to 1; decay and Nesterov's momentum come on top.
    num_trained = sum(np.size(p) * moves for p, moves in _pairs(params, moved))
    one = (1 / np.sqrt(num_trained) + 1e-4 * 0.5) * 1.95 * 5e-4
    for update, moves in _pairs(updates, moved):
        np.testing.assert_allclose(update, -one if moves else 0.0, rtol=1e-5)


def _pairs(*trees):
    return zip(*map(jax.tree.leaves, trees), strict=True)


def test_a_file_of_weights_is_what_the_network_starts_from(monkeypatch, tmp_path):
    """The ResNet's parameters come from the file, the others are drawn."""
    asked = []

    def load(cfg, variables, path):
        asked.append(path)
        return variables

    monkeypatch.setattr(status, "load_pretrained", load)
    example = [Example(case, bool(case.status), 0.0) for case in cases_of("+-")]
    jax.eval_shape(build(CFG, example).init, KEY)
    assert not asked
    jax.eval_shape(build(CFG, example, weights=tmp_path / "resnet18.pth").init, KEY)
    assert asked == [tmp_path / "resnet18.pth"]


def test_a_run_goes_on_from_the_file_that_it_started_from(tmp_path, caplog):
    file, cfg = tmp_path / "resnet18.pth", CFG.model
    assert starting_file(tmp_path / "a", None, cfg) is None
    assert "ImageNet" in caplog.text
    caplog.clear()
    assert starting_file(tmp_path / "b", file, cfg) == file
    assert not caplog.records
    for name in "ab":
        (tmp_path / name / "metrics.jsonl").write_text("")
        assert (tmp_path / name / PRETRAINED).is_file()
    assert starting_file(tmp_path / "a", None, cfg) is None
    assert starting_file(tmp_path / "b", None, cfg) == file
    assert unless_trained(tmp_path / "b", file) == file
    with refused(tmp_path / "a", "random parameters", hint="--weights"):
        starting_file(tmp_path / "a", file, cfg)
    with refused(tmp_path / "b", str(file), hint="--weights"):
        starting_file(tmp_path / "b", tmp_path / "other.pth", cfg)


def test_a_trained_run_needs_the_file_no_more(run):
    assert unless_trained(run, Path("resnet18.pth")) is None


def test_nodes_are_refused_where_they_are_not_looked_at(cache, tmp_path):
    blind = tiny_status("tiny-status-no-nodes")
    with refused(None, "--nodes"):
        train(blind, [cache], tmp_path / "run", nodes=[tmp_path])
    assert isinstance(blind, StatusConfig)


def test_runs_of_other_networks_do_not_go_together(run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    stored = json.loads((other / "config.json").read_text())
    stored["data"]["size"] = 24
    (other / "config.json").write_text(json.dumps(stored))
    with refused(other, "24", hint="belong together"):
        open_runs([run, other])


def test_the_table_of_a_data_set_is_kept_in_the_index(cache):
    folder = cache / cache_name(CFG.prepare)
    facts = [case.entry.facts for case in load(folder)]
    assert [fact["status"] for fact in facts] == [name in POSITIVE for name in NAMES]
    assert all(fact["ct_reported"] is None for fact in facts)
