"""Folds are independent, merging waits for all of them, and kills change no table."""

import contextlib
import json
import logging
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from core import atomic, json_io
from core.commands import results
from core.commands import study as studies
from core.commands.steps import LeftOut, Step
from core.commands.study import Ended, Study, run
from core.lock import only_writer
from tests.refusals import refused

ROOT = Path(__file__).parents[3]


class Killed(BaseException):
    """As an interrupt is."""


class Points:
    """Where a study may be killed: before and after whatever its steps write."""

    def __init__(self, die: int | None = None) -> None:
        self.count, self.die = 0, die

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.die:
            raise Killed


def add(folder: Path, line: str, point) -> None:
    """Add a line to a log, as a training does, unless it is there."""
    log = folder / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    if line not in lines:
        point()
        log.write_text("\n".join([*lines, line]))
        point()


def toy(point=lambda: None, *, data: str = "d", steps: int = 3, labels: bool = True) -> Study:
    """Two folds of a training, of predictions from it, and of a step that wants labels."""

    def of_fold(fold: int) -> list[Step]:
        def train(folder: Path) -> None:
            for step in range(steps):
                add(folder, f"fold {fold} step {step}", point)

        def predict(folder: Path) -> None:
            log = (folder.parent / "train" / "log").read_text().splitlines()
            point()
            json_io.write_json(folder / "sum.json", len(log) + fold)

        def status(folder: Path) -> None:
            if not labels:
                raise LeftOut("no patient's status is known")
            point()
            json_io.write_json(folder / "sum.json", fold)

        return [Step("train", train), Step("predict", predict, ["train"]), Step("status", status)]

    def external(folds: Sequence[Ended]) -> list[Step]:
        def ensemble(folder: Path) -> None:
            logs = [(path / "log").read_text() for fold in folds if (path := fold.of("train"))]
            point()
            (folder / "text").write_text("\n".join(logs))

        return [Step("other", ensemble, inputs="other data")]

    def merge(folds: Sequence[Ended], ensembles: Ended, folder: Path) -> None:
        assert not (folder / "metrics.json").exists()
        names = ("predict", "status")
        paths = {name: [fold.of(name) for fold in folds] for name in names}
        sums = {
            name: [json_io.read_json(path / "sum.json") for path in of_one if path]
            for name, of_one in paths.items()
        }
        other = ensembles.of("other")
        assert other is not None
        point()
        json_io.write_json(folder / "metrics.json", sums | {"other": (other / "text").read_text()})
        point()

    return Study({"data": [data], "recipes": {"r": {"steps": steps}}}, 2, of_fold, merge, external)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Hundreds of studies: nothing waits for a disk or for git."""
    monkeypatch.setattr(atomic, "_flush", lambda path: None)
    monkeypatch.setattr(studies, "commit", lambda folder: "unknown")


def tables(out: Path) -> str:
    return (out / "merged" / "metrics.json").read_text()


@pytest.fixture
def whole(tmp_path) -> str:
    """Tables of a study that nobody disturbed."""
    assert run(toy(), tmp_path / "whole") == 0
    return tables(tmp_path / "whole")


def files(out: Path) -> dict[Path, int]:
    times = {}
    for path in out.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # it was written aside, and has its name now
            if path.is_file():
                times[path] = path.stat().st_mtime_ns
    return times


def test_all_folds_in_turn_and_the_tables(tmp_path, whole):
    sums = json.loads(whole)
    assert sums["predict"] == [3, 4]
    assert sums["other"].splitlines() == [f"fold {f} step {s}" for f in (0, 1) for s in range(3)]
    told = json_io.read_json(tmp_path / "whole" / "merged" / "steps.json")
    assert [fold["fold"] for fold in told["folds"]] == [0, 1]
    assert [step["step"] for step in told["folds"][0]["steps"]] == ["train", "predict", "status"]


@pytest.fixture
def die_at(monkeypatch):
    """Be killed at a point; before and after every JSON file there is one as well."""

    def begin(die: int | None) -> Points:
        points = Points(die)

        def write_or_die(path, value) -> None:
            points()
            write(path, value)
            points()

        monkeypatch.setattr(json_io, "write_json", write_or_die)
        return points

    write = json_io.write_json
    return begin


def test_killed_at_each_point_and_repeated_the_tables_are_the_same(tmp_path, whole, die_at):
    counted = die_at(None)
    run(toy(counted), tmp_path / "counted")
    for die in range(1, counted.count + 1):
        out = tmp_path / f"out_{die}"
        with pytest.raises(Killed):
            run(toy(die_at(die)), out)
        die_at(None)
        run(toy(), out)
        assert tables(out) == whole
    # 8 steps of 2 records, study.json and steps.json, 5 files of results; 2 · 3 lines of a log.
    assert counted.count > 2 * (16 + 2 + 5) + 6


def test_killed_again_and_again_the_tables_are_the_same(tmp_path, whole):
    out, num_kills = tmp_path / "out", 0
    while True:
        try:
            run(toy(Points(3)), out)  # merging has two points, and must come through
            break
        except Killed:
            num_kills += 1
    assert num_kills > 5
    assert tables(out) == whole


def test_a_repeated_call_does_nothing_again(tmp_path, whole):
    before = files(tmp_path / "whole")
    run(toy(), tmp_path / "whole")
    run(toy(), tmp_path / "whole", fold=1)
    run(toy(), tmp_path / "whole", merge=True)
    assert files(tmp_path / "whole") == before


def test_folds_are_done_in_any_order_and_then_merged(tmp_path, whole):
    out = tmp_path / "out"
    for fold in (1, 0):
        assert not (out / "merged").exists()
        run(toy(), out, fold=fold)
    run(toy(), out, merge=True)
    assert tables(out) == whole


def test_merging_lists_what_is_missing(tmp_path):
    out = tmp_path / "out"
    with refused(out, "is no study", hint="do the folds first"):
        run(toy(), out, merge=True)
    run(toy(), out, fold=0)
    (out / "fold_0" / "predict.json").unlink()
    missing = "is not complete; fold 0: predict; fold 1: train, predict, status"
    with refused(out, missing, hint="--fold"):
        run(toy(), out, merge=True)
    assert not (out / "merged").exists()


def test_a_fold_that_was_done_again_is_merged_anew(tmp_path, whole):
    out = tmp_path / "whole"
    (out / "fold_1" / "train.json").unlink()
    before = json_io.read_json(out / "merged.json"), json_io.read_json(out / "external/other.json")
    run(toy(), out)
    after = json_io.read_json(out / "merged.json"), json_io.read_json(out / "external/other.json")
    assert all(old["id"] != new["id"] for old, new in zip(before, after, strict=True))
    assert tables(out) == whole


def test_another_study_in_the_folder_is_refused_with_what_differs(tmp_path, whole):
    out = tmp_path / "whole"
    differences = "data: ['d'] → ['e']", "recipes.r.steps: 3 → 4"
    with refused(out / "study.json", *differences, hint="choose another --out"):
        run(toy(data="e", steps=4), out)
    with refused(out / "study.json", "num_folds: 2 → 3", hint="choose another"):
        run(toy()._replace(num_folds=3), out)
    with refused(out / "study.json", "recipes.r: there → absent", hint="choose another"):
        run(toy()._replace(described={"data": ["d"], "recipes": {}}), out)


def test_other_software_is_told_and_not_refused(tmp_path, whole, caplog):
    path = tmp_path / "whole" / "study.json"
    stored = json_io.read_json(path)
    stored["begun_with"]["versions"]["jax"] = "0.0.1"
    json_io.write_json(path, stored)
    with caplog.at_level(logging.WARNING):
        run(toy(), tmp_path / "whole")
    assert "was begun with other software: jax: 0.0.1 →" in caplog.text


def test_steps_without_labels_are_left_out_and_told(tmp_path):
    out = tmp_path / "out"
    run(toy(labels=False), out)
    assert json.loads(tables(out))["status"] == []
    told = json_io.read_json(out / "merged" / "steps.json")["folds"][1]["steps"][2]
    assert told["status"] == "left out"
    assert told["reason"] == "no patient's status is known"


def test_a_step_that_no_fold_has_is_a_mistake():
    with pytest.raises(ValueError, match="no step 'x'; there are a, b"):
        Ended(Path(), {}, ("a", "b")).of("x")


def test_folds_that_do_not_exist_and_both_flags_are_refused(tmp_path):
    for fold in (-1, 2):
        with refused(None, f"there is no fold {fold}; the study has 2"):
            run(toy(), tmp_path, fold=fold)
    with refused(None, "give --fold or --merge"):
        run(toy(), tmp_path, fold=0, merge=True)


@pytest.mark.parametrize("at", ["fold_0/predict", "external/other"])
def test_a_case_that_failed_is_in_the_exit_status_of_every_call(tmp_path, at):
    study, out = toy(), tmp_path / "out"
    run(study, out)
    rows = [{"status": "done"}, {"status": "failed"}]
    results.write(out / at, rows, skipped=[], provenance={})
    assert run(study, out) == run(study, out, merge=True) == 1
    assert run(study, out, fold=0) == int(at.startswith("fold_0"))
    assert run(study, out, fold=1) == 0


def test_a_fold_that_another_call_does_is_refused_and_the_others_are_not(tmp_path):
    with only_writer(tmp_path / "fold_0"):
        with refused(tmp_path / "fold_0", "is being written by", hint="wait"):
            run(toy(), tmp_path, fold=0)
        assert run(toy(), tmp_path, fold=1) == 0


@pytest.mark.slow
def test_two_jobs_at_once_and_sigkills_end_with_the_same_tables(tmp_path, whole):
    """Slow: processes are started and killed while they write, until both folds are done."""
    out, num_kills = tmp_path / "out", {0: 3, 1: 3}
    chance = random.Random(0)
    jobs = {fold: start(out, fold) for fold in num_kills}
    before = {fold: files(out / f"fold_{fold}") for fold in jobs}
    while jobs:
        time.sleep(0.01)
        for fold, job in list(jobs.items()):
            now = files(out / f"fold_{fold}")
            if job.poll() is not None:
                assert job.returncode == 0
                del jobs[fold]
            elif num_kills[fold] and now != before[fold]:
                time.sleep(chance.uniform(0, 0.2))
                job.send_signal(signal.SIGKILL)
                assert job.wait() == -signal.SIGKILL
                num_kills[fold] -= 1
                before[fold], jobs[fold] = files(out / f"fold_{fold}"), start(out, fold)
    assert num_kills == {0: 0, 1: 0}
    run(toy(), out, merge=True)
    assert tables(out) == whole


def start(out: Path, fold: int) -> subprocess.Popen:
    code = f"""
import time
from pathlib import Path
from core.commands.study import run
from tests.core.commands.test_study import toy
run(toy(lambda: time.sleep(0.1)), Path({str(out)!r}), fold={fold})
"""
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
