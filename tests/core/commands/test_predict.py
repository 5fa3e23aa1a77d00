"""Every case attempted, on disk when it ends, and accounted for."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.commands.predict import Answer, Job, held_out_of, predict
from core.commands.shards import Shard, shard_of
from core.errors import InputError
from core.infer.load import Run
from core.io.paths import Skipped
from core.lock import only_writer
from core.preprocess.appearance import OWN_GRID, Appearance, seen_in
from core.train.run_folder import Division
from tests.refusals import refused

DIVISION = Division(1, ("a",), ("b",), ("c",), {"A": "train", "B": "val", "C": "test"}, {})


@dataclass(frozen=True)
class Config:
    width: int = 8


@dataclass(frozen=True)
class Scan:
    id: str
    path: Path


@pytest.fixture
def scans(tmp_path):
    paths = [tmp_path / "in" / f"{name}.nii" for name in "abc"]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_text(path.stem)
    return [Scan(path.stem, path) for path in paths]


class Work:
    """Counts what it is asked, and fails where it is told to."""

    def __init__(self):
        self.asked, self.fails = [], {}

    def __call__(self, scan, folder):
        self.asked.append(scan.id)
        if scan.id in self.fails:
            raise self.fails[scan.id]
        digests = [scan.path.read_text().upper()]
        return Answer({"score": 0.5, "files": []}, digests, {"slices": [1, 2]})


@pytest.fixture
def work():
    return Work()


def job(tmp_path, step=3, division=DIVISION, **more):
    values = {"choices": {}, "options": {}, "facts": {"rule": "mean"}, **more}
    runs = [Run(tmp_path / "run", Config(), step, division)]
    return Job(command="paper job", runs=runs, **values)


def run(scans, work, out, job, skipped=(), **more):
    return predict(
        scans,
        work,
        out,
        job,
        skipped=skipped,
        devices=["cpu:0"],
        page=lambda results, out: f"<p>{len(results['cases'])}",
        summary=lambda row: f"score {row['score']}",
        **more,
    )


def results(out):
    return json.loads((out / "results.json").read_text())


def test_every_case_has_its_row_its_files_and_its_part(scans, work, tmp_path):
    assert run(scans, work, tmp_path / "out", job(tmp_path)) == 0
    written = results(tmp_path / "out")
    assert [(row["id"], row["part"]) for row in written["cases"]] == [
        ("a", "train"),
        ("b", "val"),
        ("c", "test"),
    ]
    stored = json.loads((tmp_path / "out/cases/b/prediction.json").read_text())
    assert stored == {"score": 0.5, "files": [], "part": "val", "slices": [1, 2]}
    assert "slices" not in written["cases"][1]
    assert (tmp_path / "out/report.html").read_text() == "<p>3"


def test_runs_steps_fingerprints_and_choices_are_recorded(scans, work, tmp_path):
    choices = {"infer.stride": 10}
    run(scans, work, tmp_path / "out", job(tmp_path, choices=choices))
    written = results(tmp_path / "out")
    (of_run,) = written["runs"]
    assert (of_run["path"], of_run["step"], of_run["fold"]) == (str(tmp_path / "run"), 3, 1)
    assert len(of_run["fingerprint"]) == 12
    assert (written["fold"], written["choices"], written["rule"]) == (1, choices, "mean")


def test_scans_unlike_those_of_the_training_are_remarked_with_the_names_of_the_runs(
    scans, tmp_path, caplog
):
    alike = Appearance((2.0, 2.0, 2.0), (100.0, 200.0, 200.0), (-100.0, 0.0, 100.0))
    unlike = alike._replace(spacing_mm=(0.73, 0.73, 0.73))
    divisions = [DIVISION._replace(scans=seen_in([alike], OWN_GRID))] * 2 + [DIVISION]
    runs = [Run(tmp_path / f"run{i}", Config(), 3, of) for i, of in enumerate(divisions)]
    of_scans = {"a": [alike], "b": [alike, unlike], "c": []}

    def work(scan, folder):
        told = [(folder / f"{i}.nii", looks) for i, looks in enumerate(of_scans[scan.id])]
        return Answer({"score": 0.5}, [], scans=told)

    run(scans, work, tmp_path / "out", job(tmp_path)._replace(runs=runs))
    line = (
        f"{tmp_path / 'out/cases/b/1.nii'}: is unlike the scans that run0, run1 learned from: "
        "voxels of 0.73 × 0.73 × 0.73 mm, in training 2 × 2 × 2 mm"
    )
    remarks = {case["id"]: case["remarks"] for case in results(tmp_path / "out")["cases"]}
    assert remarks == {"a": [], "b": [line], "c": []}
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [line]


@pytest.mark.parametrize("error", [InputError("is cut"), MemoryError(), ZeroDivisionError("0")])
def test_whatever_goes_wrong_with_a_case_is_its_own(scans, work, tmp_path, error):
    work.fails = {"b": error}
    assert run(scans, work, tmp_path / "out", job(tmp_path)) == 1
    assert [row["status"] for row in results(tmp_path / "out")["cases"]] == [
        "done",
        "failed",
        "done",
    ]


def test_files_that_promise_a_case_and_hold_none_are_failures(scans, work, tmp_path):
    cut = Skipped(tmp_path / "in/cut.nii", "is cut", is_broken=True)
    assert run(scans, work, tmp_path / "out", job(tmp_path), [cut]) == 1


def test_a_problem_inside_a_case_gives_exit_status_1(scans, work, tmp_path):
    def damaged(scan, folder):
        return Answer({"score": 0.0, "num_problems": int(scan.id == "c")}, [])

    assert run(scans, damaged, tmp_path / "out", job(tmp_path)) == 1
    assert run(scans[:2], damaged, tmp_path / "out2", job(tmp_path)) == 0


def test_a_repeated_call_goes_on_and_tries_failed_cases_again(scans, work, tmp_path):
    work.fails = {"b": InputError("is cut")}
    run(scans, work, tmp_path / "out", job(tmp_path))
    first = results(tmp_path / "out")
    work.asked, work.fails = [], {}
    assert run(scans, work, tmp_path / "out", job(tmp_path)) == 0
    assert work.asked == ["b"]
    assert results(tmp_path / "out")["cases"][::2] == first["cases"][::2]


def test_a_killed_call_goes_on_after_the_last_case_that_ended(scans, work, tmp_path):
    work.fails = {"c": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        run(scans, work, tmp_path / "out", job(tmp_path))
    assert not (tmp_path / "out/results.json").exists()
    assert (tmp_path / "out/cases/b/prediction.json").exists()
    work.asked, work.fails = [], {}
    run(scans, work, tmp_path / "out", job(tmp_path))
    assert work.asked == ["c"]


def test_shards_write_their_cases_and_the_whole_finds_them(scans, work, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    work.fails = {"b": InputError("is cut")}
    for shard, status in ((Shard(1, 2), 1), (Shard(0, 2), 0)):
        assert run(shard.of(scans), work, out, job(tmp_path), shard=shard) == status
        assert not (out / "results.json").exists()
    work.asked, work.fails = [], {}
    assert run(scans, work, out, job(tmp_path)) == 0
    assert work.asked == ["b"]
    run(scans, work, whole, job(tmp_path))
    for written in (first := results(out), second := results(whole)):
        for row in written["cases"]:
            del row["seconds"]
        del written["manifest"]
    assert first == second
    assert not list(out.glob(".*"))


def test_a_shard_that_was_killed_keeps_its_finished_cases(scans, work, tmp_path):
    work.fails = {"c": KeyboardInterrupt()}
    shard = Shard(0, 2)
    with pytest.raises(KeyboardInterrupt):
        run(shard.of(scans), work, tmp_path / "out", job(tmp_path), shard=shard)
    work.asked, work.fails = [], {}
    run(scans, work, tmp_path / "out", job(tmp_path))
    assert work.asked == ["b", "c"]


@pytest.mark.parametrize("text", ["", "1", "2/2", "0/0", "-1/2", "a/2", "0/2/3", "1.0/2"])
def test_a_shard_that_is_none_is_refused(text):
    with refused(None, "--shard must be K/N", repr(text)):
        shard_of(text)


def test_a_folder_that_another_call_writes_is_refused(scans, work, tmp_path):
    with only_writer(tmp_path), refused(tmp_path, "is being written by", hint="wait"):
        run(scans, work, tmp_path, job(tmp_path))
    with only_writer(tmp_path), refused(tmp_path, "is being written by", hint="wait"):
        run(scans, work, tmp_path, job(tmp_path), shard=Shard(0, 2))
    assert work.asked == []


@pytest.mark.parametrize(
    "other", [{"step": 4}, {"choices": {"infer.stride": 5}}, {"options": {"anonymous": True}}]
)
def test_another_run_or_choice_works_anew(scans, work, tmp_path, other):
    run(scans, work, tmp_path / "out", job(tmp_path))
    run(scans, work, tmp_path / "out", job(tmp_path, **other))
    assert work.asked == ["a", "b", "c"] * 2


def test_a_changed_input_is_worked_on_anew(scans, work, tmp_path):
    run(scans, work, tmp_path / "out", job(tmp_path))
    scans[1].path.write_text("another content")
    run(scans, work, tmp_path / "out", job(tmp_path))
    assert work.asked == ["a", "b", "c", "b"]


def test_a_call_from_another_folder_goes_on(scans, work, tmp_path, monkeypatch):
    calls = {tmp_path: Path("in"), tmp_path / "in": Path()}
    for folder, to_inputs in calls.items():
        monkeypatch.chdir(folder)
        there = [Scan(scan.id, to_inputs / scan.path.name) for scan in scans]
        options = {"organs": to_inputs / "a.nii", "label_map": "lnmet"}
        run(there, work, tmp_path / "out", job(tmp_path, options=options))
    assert work.asked == ["a", "b", "c"]
    told = [case["input"] for case in results(tmp_path / "out")["cases"]]
    assert told == [str(scan.path) for scan in scans]


def test_an_input_that_cannot_be_looked_at_is_that_cases_failure(
    scans, work, tmp_path, monkeypatch
):
    def refuse(files):
        if any(file.name == "b.nii" for file in files):
            raise OSError(13, "permission denied")
        return "same"

    monkeypatch.setattr("core.commands.predict.source_of", refuse)
    work.fails = {"b": OSError(13, "permission denied")}
    assert run(scans, work, tmp_path / "out", job(tmp_path)) == 1
    assert [row["status"] for row in results(tmp_path / "out")["cases"]] == [
        "done",
        "failed",
        "done",
    ]


def test_a_scan_inside_an_archive_is_known_by_its_archive(work, tmp_path):
    archive = tmp_path / "study.zip"
    archive.write_bytes(b"zip")
    inside = [Scan("s", archive / "series")]
    inside_work = lambda scan, folder: Answer({"score": 1.0}, [])  # noqa: E731
    assert run(inside, inside_work, tmp_path / "out", job(tmp_path)) == 0


def held(tmp_path, inputs=None, cases="abc", division=DIVISION):
    runs = job(tmp_path, division=division).runs
    return held_out_of(inputs or [tmp_path], runs, lambda data: {name: name for name in cases})


def test_held_out_takes_what_the_runs_did_not_learn_from(tmp_path):
    assert held(tmp_path) == ["c"]


def test_held_out_looks_in_every_data_set(tmp_path):
    runs = job(tmp_path, division=DIVISION._replace(test=("c", "d"))).runs
    both = held_out_of(
        [tmp_path / "ac", tmp_path / "bd"], runs, lambda data: {n: n for n in data.name}
    )
    assert both == ["c", "d"]
    with pytest.raises(InputError, match=r"a … .*bc: holds 1 of the 2 cases") as refusal:
        held_out_of([tmp_path / "a", tmp_path / "bc"], runs, lambda data: {n: n for n in data.name})
    assert "data sets" in refusal.value.hint


def test_held_out_refuses_what_it_cannot_find(tmp_path):
    with pytest.raises(InputError, match="has a case c, and so has a data set before it"):
        held(tmp_path, [tmp_path, tmp_path])
    with pytest.raises(InputError, match="holds 0 of the 1 cases") as refusal:
        held(tmp_path, cases="ab")
    assert refusal.value.path == tmp_path
    with pytest.raises(InputError, match="held no cases out"):
        held(tmp_path, division=DIVISION._replace(test=()))


def test_held_out_cases_are_found_in_whichever_form_their_names_are(tmp_path):
    division = DIVISION._replace(test=("Jose\u0301",))
    assert held(tmp_path, cases=["Jos\u00e9"], division=division) == ["Jos\u00e9"]
    division = DIVISION._replace(test=("Jos\u00e9",))
    assert held(tmp_path, cases=["Jose\u0301"], division=division) == ["Jose\u0301"]
