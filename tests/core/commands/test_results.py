"""A line for every case, whatever happened to it."""

import json
import logging
from pathlib import Path

import pytest

from core.errors import InputError, RunError
from core.io.paths import Skipped
from core.report import results

SOURCE = Path("in/a.png")


def failing(error: Exception):
    def work():
        raise error

    return work


def test_a_case_that_is_done_keeps_what_was_told_about_it():
    row = results.attempt("a", SOURCE, lambda: {"score": 0.5})
    seconds = row.pop("seconds")
    assert row == {"id": "a", "input": SOURCE, "status": "done", "score": 0.5}
    assert seconds >= 0


@pytest.mark.parametrize(
    "error", [InputError("is bad", path=SOURCE), RunError("is bad"), OSError(28, "is bad")]
)
def test_a_case_that_cannot_be_done_says_why_in_its_row_and_in_the_log(error, caplog):
    with caplog.at_level(logging.ERROR):
        row = results.attempt("a", SOURCE, failing(error))
    assert row["status"] == "failed"
    assert row["error"] == str(error)
    assert caplog.messages == [str(error)]


def test_a_mistake_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        results.attempt("a", SOURCE, lambda: {"score": 1 / 0})


def test_broken_files_fail_under_names_of_their_own_and_foreign_ones_do_not():
    skipped = [
        Skipped(Path("x/a.png"), "is cut", is_broken=True),
        Skipped(Path("y/a.png"), "is empty", is_broken=True),
        Skipped(Path("notes.txt"), "is no picture"),
    ]
    rows = results.broken(skipped)
    assert [(row["id"], row["status"]) for row in rows] == [
        ("a.png", "failed"),
        ("a.png-2", "failed"),
    ]
    assert rows[0]["error"] == "x/a.png: is cut"
    assert results.any_failed(rows)
    assert results.broken(skipped[2:]) == []


@pytest.mark.parametrize(("statuses", "failed"), [("", False), ("dd", False), ("dfd", True)])
def test_one_failure_is_a_failure(statuses, failed):
    names = {"d": "done", "f": "failed"}
    assert results.any_failed([{"status": names[letter]} for letter in statuses]) is failed


def test_what_is_written_is_read_back(tmp_path):
    rows = [results.attempt("a", SOURCE, lambda: {"score": float("nan")})]
    skipped = [Skipped(Path("notes.txt"), "is no picture"), Skipped(SOURCE, "is cut", True)]
    results.write(tmp_path, rows, skipped=skipped, provenance={"commit": "c"}, fold=2)
    found = results.read(tmp_path, "paper job")
    assert (found["version"], found["manifest"], found["fold"]) == (1, {"commit": "c"}, 2)
    (case,) = found["cases"]
    assert (case["input"], case["score"]) == ("in/a.png", None)  # undefined is null
    assert found["skipped"] == [{"path": "notes.txt", "reason": "is no picture"}]
    assert json.loads((tmp_path / "results.json").read_text()) == found


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no results\.json; give the --out of paper job"):
        results.read(tmp_path, "paper job")
