"""`prepare` of every paper: what it takes, merges, counts and refuses."""

import json
import shutil
from math import prod
from pathlib import Path

import pytest

from core.commands import outlook
from core.commands import prepare as prepared_data
from core.datasets.case import plain_name
from tests.contracts.commands import Commands
from tests.contracts.systems import index, refused


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


@pytest.mark.slow  # trains each system once more
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
