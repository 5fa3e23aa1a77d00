"""A line for every case, whatever happened to it."""

import json
import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.commands import results
from core.errors import InputError
from core.io.paths import Skipped
from core.io.remarks import remark
from tests.refusals import refused

SOURCE = Path("in/a.png")


def failing(error: Exception):
    def work():
        raise error

    return work


def test_a_case_that_is_done_keeps_what_was_told_about_it_and_its_time(monkeypatch):
    clock = iter((10.0, 12.5))
    monkeypatch.setattr("core.commands.results.time.perf_counter", lambda: next(clock))
    row = results.attempt("a", SOURCE, lambda: {"score": 0.5})
    told = {"score": 0.5, "remarks": [], "seconds": 12.5 - 10.0}
    assert row == {"id": "a", "input": SOURCE.absolute(), "status": "done", **told}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InputError("is bad", path=SOURCE), "in/a.png: is bad"),
        (OSError(28, "is bad"), "[Errno 28] is bad"),
        (ZeroDivisionError("by zero"), "in/a.png: ZeroDivisionError: by zero; --debug shows where"),
        (MemoryError(), "in/a.png: out of memory; lower --infer.batch, or free the machine"),
        (RuntimeError("RESOURCE_EXHAUSTED: 9 GB"), "in/a.png: out of memory; lower --infer.batch,"),
    ],
)
def test_a_case_that_cannot_be_done_says_why_in_its_row_and_in_the_log(error, text, caplog):
    with caplog.at_level(logging.ERROR):
        row = results.attempt("a", SOURCE, failing(error))
    assert row["status"] == "failed"
    assert row["error"].startswith(text)
    assert caplog.messages == [row["error"]]


@pytest.mark.parametrize("error", [None, InputError("is bad", path=SOURCE)])
def test_what_a_reader_remarks_stands_in_the_row_once_and_in_the_log(error, caplog):
    def work():
        for _ in range(2):
            remark(SOURCE, "has no offset")
        if error:
            raise error
        return {}

    row = results.attempt("a", SOURCE, work)
    assert row["remarks"] == ["in/a.png: has no offset"]
    assert caplog.messages.count("in/a.png: has no offset") == 1
    assert results.attempt("b", SOURCE, dict)["remarks"] == []


def test_an_interrupt_ends_the_command():
    with pytest.raises(KeyboardInterrupt):
        results.attempt("a", SOURCE, failing(KeyboardInterrupt()))


def test_broken_files_fail_under_names_of_their_own_and_foreign_ones_do_not():
    skipped = [
        Skipped(Path("x/a.png"), "is cut", is_broken=True),
        Skipped(Path("y/a.png"), "is empty", is_broken=True),
        Skipped(Path("notes.txt"), "is no picture"),
    ]
    rows = results.broken(skipped, [SimpleNamespace(id="a")])
    assert [(row["id"], row["status"]) for row in rows] == [("a-2", "failed"), ("a-3", "failed")]
    assert rows[0]["error"] == "x/a.png: is cut"
    assert results.broken(skipped[2:]) == []


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.dcm", "a.zip", "a.jpeg", "a.mp4"])
def test_the_id_of_a_broken_file_is_its_name_without_the_ending(name):
    (row,) = results.broken([Skipped(Path("x") / name, "is cut", is_broken=True)])
    assert row["id"] == "a"


def test_rows_are_on_disk_when_a_case_ends_and_only_finished_ones_count(tmp_path):
    done = {"id": "a", "status": "done", "call": "1"}
    results.append(tmp_path, done)
    results.append(tmp_path, {"id": "b", "status": "failed", "call": "2"})
    with (tmp_path / results.UNFINISHED).open("a") as file:
        file.write('{"id": "c", "sta')  # killed while it was written
    assert results.done_before(tmp_path) == {"1": done}
    other = {"id": "d", "status": "done", "call": "4"}
    results.append(tmp_path, other)  # by the next call, which may be killed as well
    assert results.done_before(tmp_path) == {"1": done, "4": other}
    results.write(tmp_path, [done], skipped=[], provenance={})
    assert not (tmp_path / results.UNFINISHED).exists()
    assert results.done_before(tmp_path) == {"1": done}


def test_results_of_an_older_version_say_what_to_do(tmp_path):
    (tmp_path / "results.json").write_text('{"version": 1, "cases": []}')
    with refused(tmp_path / "results.json", "version 1", hint="paper job"):
        results.read(tmp_path, "paper job")


def test_what_is_written_is_read_back(tmp_path):
    rows = [results.attempt("a", SOURCE, lambda: {"score": float("nan")})]
    skipped = [Skipped(Path("notes.txt"), "is no picture"), Skipped(SOURCE, "is cut", True)]
    results.write(tmp_path, rows, skipped=skipped, provenance={"commit": "c"}, fold=2)
    content = results.read(tmp_path, "paper job")
    assert (content["version"], content["manifest"], content["fold"]) == (
        results.VERSION,
        {"commit": "c"},
        2,
    )
    (case,) = content["cases"]
    assert (case["input"], case["score"]) == (str(SOURCE.absolute()), None)  # undefined is null
    assert content["skipped"] == [{"path": "notes.txt", "reason": "is no picture"}]
    assert json.loads((tmp_path / "results.json").read_text()) == content


def test_a_folder_without_results_is_refused(tmp_path):
    with refused(tmp_path, "results.json", hint="paper job"):
        results.read(tmp_path, "paper job")


def test_a_foreign_file_of_any_name_leaves_its_row_and_harms_no_other(tmp_path):
    name = os.fsdecode("报告.txt".encode("gbk"))
    row = results.attempt("a", SOURCE, lambda: {"score": 0.5})
    results.append(tmp_path, row | {"call": name})
    assert set(results.done_before(tmp_path)) == {name}
    skipped = [Skipped(tmp_path / name, "not a DICOM file")]
    written = results.write(tmp_path, [row], skipped=skipped, provenance={})
    stored = json.loads((tmp_path / "results.json").read_bytes().decode())
    assert stored == written
    assert stored["skipped"] == [{"path": str(tmp_path / name), "reason": "not a DICOM file"}]
    assert [case["id"] for case in stored["cases"]] == ["a"]
