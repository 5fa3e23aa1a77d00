"""Every paper's commands refuse, resume, hold out, record and count alike.

Each row of the table of behaviours is a test below; each test runs for each paper.
"""

import html as html_module
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import chain
from math import prod
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

import jax
import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

from core import sharding
from core.commands import outlook, steps
from core.commands import prepare as prepared_data
from core.commands import results as results_module
from core.data.cache import open_case
from core.datasets.case import plain_name
from core.infer.load import Run
from core.lock import only_writer
from core.phantom.ct.phantom import make
from core.phantom.dicom.series import write_dicom_study
from core.report import html
from core.train.checkpoint import restore_model
from tests.contracts import exported
from tests.contracts.commands import COMMANDS, S4C_CLASSIFIER, Commands, forge
from tests.core.train import hosts
from tests.devices import compiled_anew
from tests.disks import make_read_only, orbax_leaves_coroutines, small_disk


class Prepared(NamedTuple):
    """A paper, a data set of six patients, its cache, and a system trained on a part of them."""

    paper: Commands
    data: Path
    cache: Path
    runs: Path
    learned: dict[str, set[str]]
    """Digests of the cases that the batches of each run are drawn from."""


@pytest.fixture(scope="module", params=COMMANDS.values(), ids=COMMANDS.keys())
def system(request, tmp_path_factory) -> Prepared:
    paper, root = request.param, tmp_path_factory.mktemp("system")
    data, cache, runs = root / "data", root / "cache", root / "runs"
    paper.write(data, 0, 6)
    assert paper.prepare("--data", data, "--out", cache) == 0
    learned = {}
    for name in paper.recipes:
        words = ("--data", cache, "--out", runs / name, *paper.train_words(name, runs))
        with learned_from(paper, name) as learned[name]:
            assert paper("train", name, *words) == 0
    return Prepared(paper, data, cache, runs, learned)


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


@pytest.fixture(scope="module")
def output(system, tmp_path_factory) -> Path:
    """Predictions of all six patients."""
    out = tmp_path_factory.mktemp("output") / "out"
    words = (*system.paper.runs(system.runs), "--out", out)
    assert system.paper(system.paper.verb, *system.paper.inputs(system.data), *words) == 0
    return out


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


@pytest.mark.parametrize("paper", COMMANDS.values(), ids=COMMANDS.keys())
def test_every_command_of_the_overview_has_help(paper, capsys):
    commands = import_module(f"{paper.name}.cli").COMMANDS
    assert paper.verb in commands
    for name in commands:
        assert paper(name, "--help") == 0
        assert capsys.readouterr().out.startswith(f"usage: {paper.name} {name} ")


# prepare


def test_prepare_merges_data_sets_and_loses_none(system, tmp_path):
    paper, other, third = system.paper, tmp_path / "other", tmp_path / "third"
    for folder, prefix in ((other, "b"), (third, "c")):
        paper.write(folder, 1, 2)
        paper.rename(folder, prefix)
    assert paper.prepare("--data", system.data, "--data", other, "--out", tmp_path / "c") == 0
    both = {id_ for part in index(tmp_path / "c")["data"].values() for id_ in part["cases"]}
    assert paper.prepare("--data", third, "--out", tmp_path / "c") == 0
    parts = index(tmp_path / "c")["data"]
    assert set(parts) == {str(p.resolve()) for p in (system.data, other, third)}
    assert both < {id_ for part in parts.values() for id_ in part["cases"]}


def test_prepare_counts_a_labelled_case_that_was_left_out(system, tmp_path, capsys):
    data = tmp_path / "data"
    system.paper.write(data, 2, 3)
    damaged = system.paper.damage(data)
    assert system.paper.prepare("--data", data, "--out", tmp_path / "cache") == 1
    (part,) = index(tmp_path / "cache")["data"].values()
    lost = [Path(s["path"]) for s in part["skipped"] if s["is_broken"]]
    assert lost == [damaged]


def test_prepare_takes_patients_from_a_pattern(system, tmp_path):
    pattern = ("--patient-pattern", r"(\w)\w*(?:-\w+)*")
    words = ("--data", system.data, "--out", tmp_path / "cache", *pattern)
    assert system.paper.prepare(*words) == 0
    (part,) = index(tmp_path / "cache")["data"].values()
    assert all(entry["patient"] == id_[0] for id_, entry in part["cases"].items())


def test_cases_of_one_image_are_on_one_side(system, tmp_path, capsys):
    paper, copy, cache = system.paper, tmp_path / "copy", tmp_path / "cache"
    shutil.copytree(system.data, copy)
    paper.rename(copy, "z")
    assert paper.prepare("--data", system.data, "--data", copy, "--out", cache) == 0
    assert "12 cases have an image that another case has" in capsys.readouterr().err
    pairs = index(cache)["same_image"]
    assert all(second.startswith("z") for _, second in pairs)
    assert len(pairs) == 6
    words = ("--data", cache, "--out", tmp_path / "run", *paper.few, *paper.fold)
    assert paper("train", paper.recipes[0], *words) == 0
    division = json.loads((tmp_path / "run" / "folds.json").read_text())
    part_of = {name: part for part in ("train", "val", "test") for name in division[part]}
    (folder,) = (path.parent for path in cache.glob("*/index.json"))
    patient_of = {case.id: case.entry.patient for case in prepared_data.load(folder)}
    for first, second in pairs:
        assert patient_of[first] == patient_of[second]
        parts = [part_of.get(id_) or part_of[patient_of[id_]] for id_ in (first, second)]
        assert parts[0] == parts[1]
    assert set(part_of.values()) >= {"train", "test"}


def test_a_patient_of_two_data_sets_is_told(system, tmp_path, capsys):
    paper, other = system.paper, tmp_path / "other"
    paper.write(other, 1, 2)
    paper.rename(other, "z")
    words = ("--data", system.data, "--data", other, "--patient-pattern", r"z?(\w)\w*(?:-\w+)*")
    assert paper.prepare(*words, "--out", tmp_path / "cache") == 0
    assert "are in several data sets, such as" in capsys.readouterr().err
    (roots,) = index(tmp_path / "cache")["same_patient"].values()
    assert roots == [str(system.data.resolve()), str(other.resolve())]


def test_what_prepare_takes_is_told_and_refused_where_it_cannot_fit(
    system, tmp_path, capsys, monkeypatch
):
    paper, cache = system.paper, tmp_path / "cache"
    (folder,) = (path.parent for path in system.cache.glob("*/index.json"))
    cases = [case.stored.arrays for case in prepared_data.load(folder)]
    arrays = [case[name] for case in cases for name in paper.arrays]
    num_bytes = sum(array.dtype.itemsize * prod(array.shape) for array in arrays)
    usage = shutil.disk_usage(tmp_path)
    words = ("--data", system.data, "--out", cache, *paper.same)
    with monkeypatch.context() as patch:
        patch.setattr(outlook.shutil, "disk_usage", lambda _: usage._replace(free=num_bytes - 1))
        assert paper("prepare", *words) == 2
        assert "6 cases take about" in capsys.readouterr().err.splitlines()[-1]
        assert not list(cache.glob("*/*/case.json"))
        patch.setattr(outlook.shutil, "disk_usage", lambda _: usage._replace(free=num_bytes))
        assert paper("prepare", *words) == 0
        assert "6 cases to prepare, about" in capsys.readouterr().err
        patch.setattr(outlook.shutil, "disk_usage", lambda _: usage._replace(free=0))
        assert paper("prepare", *words) == 0  # nothing is missing


def test_label_names_mean_what_the_user_says(system, tmp_path, capsys):
    paper, data, cache = system.paper, tmp_path / "data", tmp_path / "cache"
    if not paper.names_labels:
        pytest.skip(f"data sets of {paper.name} name no labels")
    shutil.copytree(system.data, data)
    description = json.loads((data / "dataset.json").read_text())
    names = {f"my {n}": i for n, i in description["labels"].items() if n != "background"}
    description["labels"] = {"background": 0, **names}
    (data / "dataset.json").write_text(json.dumps(description))
    words = ("--data", data, "--out", cache, *paper.same)
    assert "--labels" in refused(capsys, paper, "prepare", *words)
    said = ",".join(f"{name}={name.removeprefix('my ')}" for name in names)
    line = refused(capsys, paper, "prepare", *words, "--labels", f"{said},gizzard=pancreas")
    assert "--labels names 'gizzard', which no data set has" in line
    assert paper("prepare", *words, "--labels", said) == 0
    assert labels_of(cache, paper) == labels_of(system.cache, paper)
    (part,) = index(cache)["data"].values()
    assert set(part["provenance"]["labels"]) == set(map(plain_name, names))
    # Other words make other labels, of cases that are there already.
    first, *_, last = names
    swapped = said.replace(f"{first}=", "\0").replace(f"{last}=", f"{first}=")
    assert paper("prepare", *words, "--labels", swapped.replace("\0", f"{last}=")) == 0
    assert labels_of(cache, paper) != labels_of(system.cache, paper)


def labels_of(cache: Path, paper: Commands) -> list[bytes]:
    """Labels of the prepared cases."""
    (folder,) = (path.parent for path in cache.glob("*/index.json"))
    cases = [case.stored.arrays for case in prepared_data.load(folder)]
    return [case[name][...].tobytes() for case in cases for name in paper.arrays[1:2]]


def test_train_on_another_preparation_gives_the_flags_in_one_line(system, tmp_path, capsys):
    paper = system.paper
    assert paper("prepare", "--data", system.data, "--out", tmp_path / "c", *paper.other) == 0
    words = ("train", paper.recipes[0], "--data", tmp_path / "c", "--out", tmp_path / "run")
    line = refused(capsys, paper, *words)
    assert f"run {paper.name} prepare" in line
    assert len(line) < 300


def test_a_class_without_a_case_is_told_with_numbers(system, tmp_path, capsys):
    data = tmp_path / "data"
    system.paper.write(data, 4, 1)
    assert system.paper.prepare("--data", data, "--out", tmp_path / "cache") == 0
    lines = capsys.readouterr().err.splitlines()
    assert any("of 1 patients: " in line and "0 with" in line for line in lines)


# train


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


def test_train_takes_a_batch_that_the_devices_do_not_divide(system):
    for name in system.paper.recipes:
        manifest = json.loads((system.runs / name / "manifest.json").read_text())
        assert len(manifest["devices"]) == 2  # of eight, for a batch of two


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


@pytest.mark.slow  # compiles for eight devices
def test_a_state_and_images_that_are_cut_over_devices_train_alike(system, tmp_path, monkeypatch):
    paper, name = system.paper, system.paper.recipes[0]
    monkeypatch.setattr(sharding, "MIN_SHARDED_SIZE", 1)
    words = ("--data", system.cache, "--out", tmp_path, *paper.train_words(name, system.runs))
    with compiled_anew():
        assert paper("train", name, *words, "--fsdp", "--space", "4") == 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert len(manifest["devices"]) == 8
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
    paper, name = system.paper, system.paper.recipes[0]
    words = ("--data", system.cache, "--out", tmp_path / "run", *paper.few, *paper.fold)
    # In a process of its own: functions whose shapes are checked, as here, cannot be pickled.
    command = [sys.executable, "-m", paper.name, "train", name, *map(str, words), "--workers", "2"]
    subprocess.run(command, check=True, timeout=hosts.LIMIT, cwd=hosts.ROOT)
    logged = [
        [
            {key: value for key, value in json.loads(line).items() if key != "time"}
            for line in (run / "metrics.jsonl").read_text().splitlines()
        ]
        for run in (system.runs / name, tmp_path / "run")
    ]
    assert logged[0] == logged[1]


# the paper's own job


def test_every_run_its_step_and_its_fingerprint_are_recorded(system, output):
    written = results(output)
    assert [run["step"] for run in written["runs"]] == [2] * len(system.paper.recipes)
    assert {Path(run["path"]).name for run in written["runs"]} == set(system.paper.recipes)
    assert all(len(run["fingerprint"]) == 12 for run in written["runs"])


def test_cases_that_were_learned_from_are_marked(output):
    parts = [case["part"] for case in results(output)["cases"]]
    assert {"train", "test"} <= set(parts)


def test_held_out_takes_the_others(system, output, tmp_path):
    words = (*system.paper.runs(system.runs), "--held-out", "--out", tmp_path / "out")
    assert system.paper(system.paper.verb, system.data, *words) == 0
    cases = results(tmp_path / "out")["cases"]
    assert {case["part"] for case in cases} == {"test"}
    every = results(output)["cases"]
    assert len(cases) == sum(case["part"] == "test" for case in every)


def test_an_unfinished_run_is_refused_unless_allowed(system, tmp_path, capsys):
    paper, name = system.paper, system.paper.recipes[0]
    forge(system.runs / name, tmp_path / "runs" / name)
    (tmp_path / "runs" / name / "manifest.json").unlink()
    for other in paper.recipes[1:]:
        forge(system.runs / other, tmp_path / "runs" / other)
    words = (paper.verb, *paper.inputs(system.data), *paper.runs(tmp_path / "runs"))
    words = (*words, "--out", tmp_path / "out")
    assert "is not finished" in refused(capsys, paper, *words)
    assert paper(*words, "--allow-unfinished") == 0


def test_runs_of_other_data_are_refused(system, tmp_path, capsys):
    paper = system.paper
    together = paper.together or paper.recipes
    first, *others = [*together, together[0]][:2]
    runs = ["--run", system.runs / first]
    for name in others:
        strange = forge(system.runs / name, tmp_path / name, images={"0": "train"}, train=["z"])
        runs += ["--run", strange]
    for name in set(paper.recipes) - {first, *others}:
        runs += ["--run", system.runs / name]
    words = (paper.verb, *paper.inputs(system.data), *runs, "--out", tmp_path / "out")
    line = refused(capsys, paper, *words)
    assert "other cases" in line or "another data set" in line


def test_a_repeated_call_goes_on(system, output, tmp_path, caplog):
    before = (output / "results.json").read_text()
    words = (*system.paper.runs(system.runs), "--out", output)
    with caplog.at_level(logging.INFO):
        assert system.paper(system.paper.verb, *system.paper.inputs(system.data), *words) == 0
    assert (output / "results.json").read_text() == before
    assert not (output / results_module.UNFINISHED).exists()


@pytest.mark.slow  # works on cases twice
def test_shards_of_a_cohort_make_the_whole(system, tmp_path, capsys):
    paper, outs = system.paper, (tmp_path / "whole", tmp_path / "shards")
    words = (paper.verb, system.data, *paper.runs(system.runs), "--held-out", "--out")
    assert paper(*words, outs[0]) == 0
    for shard in ("1/2", "0/2"):
        assert paper(*words, outs[1], "--shard", shard) == 0
        assert not (outs[1] / "results.json").exists()
    capsys.readouterr()
    assert paper(*words, outs[1]) == 0
    every = results(outs[0])["cases"]
    assert capsys.readouterr().err.count("(of an earlier call)") == len(every)
    timeless = {"seconds": 0, "stage_seconds": 0}
    told = [[case | timeless for case in results(out)["cases"]] for out in outs]
    assert told[0] == told[1]
    assert not list(outs[1].glob(".*"))
    assert "--shard must be K/N" in refused(capsys, paper, *words, outs[1], "--shard", "2/2")


def test_a_folder_that_another_call_writes_is_refused(system, tmp_path, capsys):
    paper, name = system.paper, system.paper.recipes[0]
    training = ("train", name, "--data", system.cache, *paper.train_words(name, system.runs))
    job = (paper.verb, *paper.inputs(system.data), *paper.runs(system.runs))
    with only_writer(tmp_path):
        for words in (training, job):
            assert "is being written" in refused(capsys, paper, *words, "--out", tmp_path)


@pytest.mark.slow  # works on cases four times
@orbax_leaves_coroutines
def test_a_full_or_read_only_disk_is_one_line_and_with_room_it_goes_on(system, tmp_path, capsys):
    paper, name = system.paper, system.paper.recipes[0]
    training = ("train", name, "--data", system.cache, *paper.train_words(name, system.runs))
    job = (paper.verb, system.data, *paper.runs(system.runs), "--held-out")
    with small_disk(tmp_path, 64 << 20) as disk:
        others = disk / "others"
        training, job = (
            (*training, "--resume", "--out", disk / "run"),
            (*job, "--out", disk / "out"),
        )
        for words in (training, job):
            free = shutil.disk_usage(disk).free
            others.write_bytes(bytes(free - (16 << 10)))
            capsys.readouterr()
            assert paper(*words) == 1
            said = capsys.readouterr().err
            assert "no room on the disk; make some, and call again" in said.splitlines()[-1]
            assert "Traceback" not in said
            others.unlink()
            assert paper(*words) == 0
        make_read_only(disk)
        for words in (training, job):
            assert "Read-only file system" in refused(capsys, paper, *words)


def test_a_case_that_goes_wrong_fails_alone(system, tmp_path):
    data = tmp_path / "data"
    system.paper.write(data, 3, 2)
    system.paper.damage(data)
    words = (*system.paper.runs(system.runs), "--out", tmp_path / "out")
    assert system.paper(system.paper.verb, *system.paper.inputs(data), *words) == 1
    statuses = [case["status"] for case in results(tmp_path / "out")["cases"]]
    assert sorted(statuses) == ["done", "failed"]


def test_operating_choices_are_overridden_and_recorded(system, tmp_path):
    flags, recorded = system.paper.choice
    words = (*system.paper.runs(system.runs), "--held-out", "--out", tmp_path / "out", *flags)
    assert system.paper(system.paper.verb, system.data, *words) == 0
    assert results(tmp_path / "out")["choices"] == recorded


def test_a_page_embeds_a_bounded_number_of_pictures(system, output, tmp_path, monkeypatch):
    """Of results that are there already, whose page is written anew."""
    out = tmp_path / "out"
    shutil.copytree(output, out)
    words = (system.paper.verb, *system.paper.inputs(system.data))
    words = (*words, *system.paper.runs(system.runs), "--out", out)
    folded = {}
    for number in (1, 40):
        monkeypatch.setattr(html, "MAX_PICTURES", number)
        assert system.paper(*words) == 0
        folded[number] = (out / "report.html").read_text().count("<details")
    assert len(results(out)["cases"]) == 6
    assert folded[40] - folded[1] == 5


def test_every_finished_case_of_ct_has_a_page_to_scroll_through_that_refers_to_nothing(
    system, output
):
    index = (output / "report.html").read_text("utf-8")
    for case in results(output)["cases"]:
        path = output / "cases" / case["id"] / "report.html"
        assert path.is_file() == ("page" in case) == system.paper.has_volumes
        linked = f'href="cases/{quote(case["id"])}/report.html"' in index
        assert linked == system.paper.has_volumes
        if linked:
            text = path.read_text("utf-8")
            assert "default-src 'none'" in text
            assert 'id="image-0"' in text
            assert not re.search(r"https?:|\b(src|href)=|url\(|@import|fetch\(", text)


def test_pages_of_dicom_tell_nothing_of_its_headers(system, tmp_path):
    paper, out = system.paper, tmp_path / "out"
    if not paper.has_volumes:
        pytest.skip("pictures have no page of their own")
    phantom = make(0, shape=(18, 24, 32), spacing_mm=(8, 8, 8), tumor_diameter_mm=None)
    study = write_dicom_study(tmp_path / "study", phantom)
    secrets = {"PatientName": "Secret^Jane", "PatientID": "MRN4711", "InstitutionName": "Clinic"}
    for path in filter(Path.is_file, study.rglob("*")):
        dataset = pydicom.dcmread(path)
        for name, secret in secrets.items():
            setattr(dataset, name, secret)
        dataset.save_as(path)
    words = (*paper.runs(system.runs), *paper.quick, "--out", out)
    assert paper(paper.verb, study, *words) == 0
    pages = [out / "cases" / case["id"] / case["page"] for case in results(out)["cases"]]
    for page in (out / "report.html", *pages):
        text = page.read_text("utf-8")
        assert not [secret for secret in secrets.values() if secret in text]


def stretch(data: Path, factor: float) -> None:
    """Give the volumes of a data set larger voxels."""
    for path in data.glob("imagesTr/*"):
        image = nib.load(path)
        affine = image.affine @ np.diag([factor, factor, factor, 1.0])
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), path)


UNLIKE = "is unlike the scans that"


def test_scans_unlike_those_of_the_training_are_told_with_numbers(system, output, tmp_path, capsys):
    if not system.paper.has_volumes:
        pytest.skip("pictures have no spacing that networks were trained at")
    assert not any(UNLIKE in line for case in results(output)["cases"] for line in case["remarks"])
    data = tmp_path / "data"
    system.paper.write(data, 5, 2)
    stretch(data, 1.6)
    words = (system.paper.verb, *system.paper.inputs(data))
    out = tmp_path / "out"
    assert system.paper(*words, *system.paper.runs(system.runs), "--out", out) == 0
    told = [[line for line in c["remarks"] if UNLIKE in line] for c in results(out)["cases"]]
    stderr, page = capsys.readouterr().err, html_text(out / "report.html")
    assert all(told)
    for line in chain.from_iterable(told):
        assert re.search(r"voxels of [\d.]+ × .* mm, in training [\d.]+ × .* mm", line)
        assert line in stderr
        assert line in page
    for name in system.paper.recipes:  # as runs of older versions
        forge(system.runs / name, tmp_path / "runs" / name, scans=None)
    old = tmp_path / "old"
    assert system.paper(*words, *system.paper.runs(tmp_path / "runs"), "--out", old) == 0
    assert not any(UNLIKE in line for case in results(old)["cases"] for line in case["remarks"])


def html_text(page: Path) -> str:
    return html_module.unescape(page.read_text("utf-8"))


# evaluate


def test_evaluate_marks_what_was_learned_from_and_leaves_it_out(system, output, tmp_path):
    words = ("--pred", output, "--truth", system.data, "--out", tmp_path / "eval")
    assert system.paper("evaluate", *words) == 0
    metrics = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    parts = [row["part"] for row in metrics["rows"]]
    summary = metrics["summary"]
    assert summary["num_seen"] == sum(part in ("train", "val") for part in parts) > 0
    assert summary["num_cases"] == len(parts) - summary["num_seen"]
    assert "train" in summary["seen"]


def test_evaluate_refuses_a_fold_twice_and_another_network_of_the_name(
    system, output, tmp_path, capsys
):
    written = results(output)
    copies = []
    for name, change in {
        "fold": {"fold": 0},
        "again": {"fold": 0},
        "network": {"fold": 1, "runs": [{**run, "fingerprint": "x"} for run in written["runs"]]},
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "results.json").write_text(json.dumps(written | change))
        copies.append(folder)
    words = ("--truth", system.data, "--out", tmp_path / "eval")
    first, again, network = (("--pred", copy) for copy in copies)
    assert "is of fold 0, and so is" in refused(
        capsys, system.paper, "evaluate", *first, *again, *words
    )
    assert "is by another network" in refused(
        capsys, system.paper, "evaluate", *first, *network, *words
    )


def test_evaluate_counts_failed_cases_both_ways(system, output, tmp_path):
    written = results(output)
    case = next(case for case in written["cases"] if case["part"] == "test")
    case.update(status="failed", error="out of memory")
    (tmp_path / "pred").mkdir()
    (tmp_path / "pred" / "results.json").write_text(json.dumps(written))
    (tmp_path / "pred" / "cases").symlink_to(output / "cases")
    words = ("--pred", tmp_path / "pred", "--truth", system.data, "--out", tmp_path / "eval")
    assert system.paper("evaluate", *words) == 0
    summary = json.loads((tmp_path / "eval" / "metrics.json").read_text())["summary"]
    assert summary["num_failed"] == 1
    with_failed = summary["failed_as_errors"]
    num_done, num = (sum(s[name] for name in system.paper.counts) for s in (summary, with_failed))
    assert num == num_done + 1


def test_evaluate_of_nothing_in_common_is_refused(system, output, tmp_path, capsys):
    other = tmp_path / "other"
    system.paper.write(other, 9, 2)
    system.paper.rename(other, "x")
    words = ("--pred", output, "--truth", other, "--out", tmp_path / "eval")
    assert "none of" in refused(capsys, system.paper, "evaluate", *words)


@pytest.mark.parametrize("prefix", [os.fsdecode("患者".encode("gbk")), "Jose\u0301 "])
def test_names_of_any_bytes_and_foreign_files_harm_no_command(system, tmp_path, prefix):
    paper, data, out = system.paper, tmp_path / "data", tmp_path / "out"
    paper.write(data, 4, 2)
    paper.rename(data, prefix)
    for place in paper.inputs(data):
        if place.is_dir():
            (place / os.fsdecode("报告.txt".encode("gbk"))).write_text("text")
    assert paper.prepare("--data", data, "--out", tmp_path / "cache") == 0
    (part,) = index(tmp_path / "cache")["data"].values()
    assert all(Path(file).is_file() for case in part["cases"].values() for file in case["files"])
    words = (*paper.runs(system.runs), "--out", out)
    assert paper(paper.verb, *paper.inputs(data), *words) == 0
    assert {case["status"] for case in results(out)["cases"]} == {"done"}
    links = re.findall(r'href="(cases/[^"]+)"', (out / "report.html").read_text("utf-8"))
    assert len(links) == 2 * paper.has_volumes
    for link in links:
        (out / os.fsdecode(unquote_to_bytes(link))).read_text("utf-8")
    assert paper("evaluate", "--pred", out, "--truth", data, "--out", tmp_path / "eval") == 0
    metrics = json.loads((tmp_path / "eval" / "metrics.json").read_text("utf-8"))
    assert (len(metrics["rows"]), metrics["summary"]["num_without_truth"]) == (2, 0)
    assert len((tmp_path / "eval" / "rows.csv").read_text("utf-8").splitlines()) == 3


# study


@pytest.fixture(scope="module")
def study(system, tmp_path_factory) -> Path:
    """A cross-validation of two folds that was killed after each of its steps, and called again."""
    if system.paper.study is None:
        pytest.skip(f"{system.paper.name} has no study of one recipe")
    out = tmp_path_factory.mktemp("study") / "study"
    statuses = []
    while not statuses or statuses[-1] == 130:
        with killed_after_a_step():
            statuses.append(system.paper(*study_words(system, out)))
    # Two folds of a training and the paper's job, and the tables.
    assert statuses == [130] * 5 + [0]
    return out


def study_words(system, out: Path) -> tuple[object, ...]:
    paper = system.paper
    words = ("--data", system.data, "--cache", system.cache, "--recipe", paper.study)
    return ("study", *paper.study_of, *words, "--out", out, *paper.few)


@contextmanager
def killed_after_a_step() -> Iterator[None]:
    write = steps._write

    def write_and_die(folder, name, record):
        write(folder, name, record)
        if record.status == "done":
            raise KeyboardInterrupt
        return record

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "_write", write_and_die)
        yield


def times(folder: Path) -> dict[Path, int]:
    """When each file was written; a lock comes and goes in folders."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_study_is_what_its_commands_give_however_often_it_was_killed(system, study, tmp_path):
    paper = system.paper
    runs = (study / "fold_0" / paper.study, system.runs / paper.study)
    ours, by_hand = (restore_model(run / "checkpoints") for run in runs)
    jax.tree.map(np.testing.assert_array_equal, ours, by_hand)
    preds = [path.parent for path in sorted(study.glob("fold_*/*/results.json"))]
    assert [results(pred)["fold"] for pred in preds] == [0, 1]
    words = [word for pred in preds for word in ("--pred", pred)]
    assert paper("evaluate", *words, "--truth", system.data, "--out", tmp_path / "eval") == 0
    for name in ("metrics.json", "rows.csv"):
        assert (study / "merged" / name).read_bytes() == (tmp_path / "eval" / name).read_bytes()
    assert (study / "merged" / "report.html").is_file()


def test_a_repeated_study_does_nothing_again(system, study):
    before = times(study)
    assert system.paper(*study_words(system, study)) == 0
    assert times(study) == before


def test_a_study_of_anything_else_is_refused(system, study, tmp_path, capsys):
    paper, words = system.paper, study_words(system, study)
    at = words.index("--data")
    other = (*words[:at], "--data", tmp_path, *words[at + 2 :])
    line = refused(capsys, paper, *other)
    assert f"{study / 'study.json'}: is of another study: data: " in line
    line = refused(capsys, paper, *words, "--run.seed", "7")
    assert f"recipes.{paper.study}.run.seed: 0 → 7" in line
    assert "there is no fold 2" in refused(capsys, paper, *words, "--fold", "2")


def test_merging_waits_for_every_fold(system, study, tmp_path, capsys):
    words, record = study_words(system, study), study / "fold_1" / f"{system.paper.study}.json"
    before = times(study)
    record.rename(tmp_path / "record")
    line = refused(capsys, system.paper, *words, "--merge")
    assert f"{study}: is not complete; fold 1: {system.paper.study}" in line
    (tmp_path / "record").rename(record)
    assert system.paper(*words, "--fold", "1") == 0
    assert system.paper(*words, "--merge") == 0
    assert times(study) == before


# export


def test_an_exported_system_gives_the_labels_of_the_command(system, tmp_path, monkeypatch):
    paper = system.paper
    if paper is S4C_CLASSIFIER:
        pytest.skip("classifiers are refused")
    noisy = exported.shaken(Run.weights, *exported.NOISE[paper.name])
    monkeypatch.setattr(Run, "weights", noisy)
    runs, model = [system.runs / name for name in paper.recipes], tmp_path / "model.npz"
    assert paper("export", *runs, "--out", model) == 0
    out, inputs = tmp_path / "out", paper.inputs(system.data)
    assert paper(paper.verb, *inputs, *paper.runs(system.runs), *paper.quick, "--out", out) == 0
    packages = exported.packages(tmp_path / "packages")
    for row in results(out)["cases"][:1]:
        scans, written = exported.of_case(paper.name, out, row, system.data)
        label = tmp_path / written.name
        words = [label, *scans] if paper.name == "lnmet" else [*scans, label]
        done = exported.run(paper.name, packages, model, *words)
        assert done.returncode == 0, done.stderr
        expected = voxels(written)
        assert len(np.unique(expected)) > 1
        np.testing.assert_array_equal(voxels(label), expected)
        if paper.name != "lnmet":  # segments without a decision
            assert done.stdout.startswith(row["decision"])


def voxels(path: Path) -> np.ndarray:
    """Of a label map or a mask, as they are stored."""
    if path.suffix == ".png":
        return np.asarray(Image.open(path)) > 0
    return np.asarray(nib.load(path).dataobj)


def test_a_file_of_another_kind_is_refused_by_export(system, tmp_path, capsys):
    runs = [system.runs / name for name in system.paper.recipes[:3]]
    if system.paper is S4C_CLASSIFIER:
        line = refused(capsys, system.paper, "export", *runs, "--out", tmp_path / "model.npz")
        assert "is a classifier, and segmentations are exported" in line
        return
    line = refused(capsys, system.paper, "export", *runs, "--out", tmp_path / "model.onnx")
    assert "must end with .npz" in line
    (tmp_path / "model.npz").mkdir()
    line = refused(capsys, system.paper, "export", *runs, "--out", tmp_path / "model.npz")
    assert "is a folder; name a file, such as model.npz" in line
