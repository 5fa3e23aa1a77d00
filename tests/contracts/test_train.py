"""`train` of every paper: what is held out, recorded and cut over devices."""

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from core import sharding
from core.data.cache import open_case
from tests.contracts.systems import index
from tests.core.train import hosts
from tests.devices import compiled_anew


@pytest.mark.slow  # trains each system once more
def test_cases_of_a_patient_are_in_one_part(system, tmp_path):
    """PANORAMA has several studies of a patient, and tables of pictures name theirs."""
    paper, cache = system.paper, tmp_path / "cache"
    paper.write_pairs(tmp_path / "data", 0, 5)
    assert paper.prepare("--data", tmp_path / "data", "--out", cache) == 0
    (part,) = index(cache)["data"].values()
    cases = defaultdict(set)
    for id_, entry in part["cases"].items():
        cases[entry["patient"]].add(id_)
    assert [len(ids) for ids in cases.values()] == [2] * 5
    words = ("--data", cache, "--out", tmp_path / "run", *paper.few, *paper.fold)
    assert paper("train", paper.recipes[0], *words) == 0
    images = json.loads((tmp_path / "run" / "folds.json").read_text())["images"]
    (folder,) = (path.parent for path in cache.glob("*/index.json"))
    parts = [{images[open_case(folder, i).meta["digest"]] for i in ids} for ids in cases.values()]
    assert [len(of_patient) for of_patient in parts] == [1] * 5
    assert set.union(*parts) >= {"train", "test"}


@pytest.mark.slow  # trains each system once more
def test_folds_that_a_data_set_prescribes_are_used_or_said_not_to_be(system, tmp_path, capsys):
    paper, data = system.paper, tmp_path / "data"
    shutil.copytree(system.data, data)
    (part,) = index(system.cache)["data"].values()
    first, second, *others = part["cases"]
    folds = [{"train": others, "val": [first, second]}, {"train": [first, second], "val": others}]
    (data / "splits_final.json").write_text(json.dumps(folds))
    assert paper.prepare("--data", data, "--out", tmp_path / "cache") == 0
    words = ("--data", tmp_path / "cache", "--out", tmp_path / "run", *paper.few, *paper.fold)
    assert paper("train", paper.recipes[0], *words) == 0
    division = json.loads((tmp_path / "run" / "folds.json").read_text())
    assert (division["test"] == [first, second]) == paper.uses_folds
    lines = capsys.readouterr().err.splitlines()
    told = any(str(data) in line and "splits_final.json is not used" in line for line in lines)
    assert told != paper.uses_folds


def test_train_holds_out_and_evaluates(system):
    for name in system.paper.recipes:
        division = json.loads((system.runs / name / "folds.json").read_text())
        assert division["test"]
        assert set(division["images"].values()) >= {"train", "test"}
        parts = {division["images"][digest] for digest in system.learned[name]}
        assert parts == {"train"}
        lines = (system.runs / name / "metrics.jsonl").read_text().splitlines()
        assert any("evaluation" in json.loads(line) for line in lines)
        assert (system.runs / name / "plots" / "loss.png").is_file()


@pytest.mark.slow
def test_two_hosts_train_evaluate_and_finish(system, tmp_path):
    paper = system.paper
    for name in paper.recipes[:1]:
        words = ("--data", system.cache, "--out", tmp_path / name, *paper.few, *paper.fold)
        hosts.run(paper.name, "train", name, *map(str, words), "--distributed")
        assert (tmp_path / name / "manifest.json").is_file()
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        assert any("evaluation" in json.loads(line) for line in lines)


@pytest.mark.slow  # compiles for several devices
@pytest.mark.parametrize(
    ("flags", "used"),
    [((), 2), (("--fsdp", "--space", "4"), 8)],
    ids=["as many as divide a batch of two", "state and images cut over all"],
)
@pytest.mark.usefixtures("all_devices")
def test_several_devices_train_as_one_does(system, flags, used, tmp_path, monkeypatch):
    paper, name = system.paper, system.paper.recipes[0]
    monkeypatch.setattr(sharding, "MIN_SHARDED_SIZE", 1)
    words = ("--data", system.cache, "--out", tmp_path, *paper.train_words(name, system.runs))
    with compiled_anew():
        assert paper("train", name, *words, *flags) == 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert len(manifest["devices"]) == used
    # Not their weights: where a bias stands before a norm its gradient is rounding, and Adam makes
    # steps of that. Sums over devices run in another order: a few float32 roundings.
    for ours, theirs in zip(losses_of(tmp_path), losses_of(system.runs / name), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3)


def losses_of(run: Path) -> list[list[float]]:
    """Loss and norm of the gradient at every step."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [[line["loss"], line["grad_norm"]] for line in lines if "loss" in line]


@pytest.mark.slow
def test_worker_processes_change_no_result(system, tmp_path):
    """In processes of their own: functions whose shapes are checked, as here, cannot be pickled."""
    paper, name = system.paper, system.paper.recipes[0]
    one_device = os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=1")
    logged = []
    for workers in ("0", "2"):
        run = tmp_path / workers
        words = ("--data", system.cache, "--out", run, *paper.few, *paper.fold)
        command = [sys.executable, "-m", paper.name, "train", name, *map(str, words)]
        env = os.environ | {"XLA_FLAGS": one_device}
        subprocess.run(
            [*command, "--workers", workers],
            check=True,
            timeout=hosts.LIMIT,
            cwd=hosts.ROOT,
            env=env,
        )
        lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        logged.append([{key: line[key] for key in line if key != "time"} for line in lines])
    assert logged[0]
    assert logged[0] == logged[1]
