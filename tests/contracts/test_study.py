"""`study` of every paper that has one: killed, repeated, merged and refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
import pytest

from core.commands import steps
from core.train.checkpoint import restore_model
from tests.contracts.systems import refused, results

pytestmark = pytest.mark.slow  # a whole study, begun again after each of its steps


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
