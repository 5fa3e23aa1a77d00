import os
import time

import numpy as np
import pytest

from core.data.cache import open_case
from core.data.prepare import Index, prepare, read_index, write_index
from core.errors import InputError
from core.io.paths import Skipped


@pytest.fixture
def files_of(tmp_path):
    """Three cases of one file each, with a number as its content."""
    scans = tmp_path / "scans"
    scans.mkdir()
    for i, case in enumerate("abc"):
        (scans / f"{case}.txt").write_text(str(i))
    return {case: (scans / f"{case}.txt",) for case in "abc"}


@pytest.fixture
def run(tmp_path, files_of):
    """Prepare, and say which cases were made and what was reported."""

    def run(fail=None, skipped=(), num_threads=1):
        made, reports = [], {}

        def make(case):
            if case == fail:
                raise InputError("has no voxels", path=files_of[case][0])
            made.append(case)
            return {"image": np.full((2, 2, 2), int(files_of[case][0].read_text()))}, {"id": case}

        index = prepare(
            tmp_path / "cache",
            files_of,
            make,
            skipped=skipped,
            num_threads=num_threads,
            report=reports.__setitem__,
        )
        return sorted(made), reports, index

    return run


@pytest.mark.parametrize("num_threads", [1, 4])
def test_every_case_is_made_once_and_reported(tmp_path, run, files_of, num_threads):
    made, reports, index = run(num_threads=num_threads)
    assert made == ["a", "b", "c"]
    assert reports == dict.fromkeys("abc")
    assert index == Index(files_of, ())
    for i, case in enumerate("abc"):
        assert open_case(tmp_path / "cache", case).arrays["image"][0, 0, 0] == i


def test_a_second_run_makes_nothing(run):
    run()
    made, reports, _ = run()
    assert made == []
    assert reports == dict.fromkeys("abc")


def test_only_a_case_whose_source_changed_is_made_again(tmp_path, run, files_of):
    run()
    files_of["b"][0].write_text("17")
    made, _, _ = run()
    assert made == ["b"]
    assert open_case(tmp_path / "cache", "b").arrays["image"][0, 0, 0] == 17


def test_a_case_that_cannot_be_used_is_skipped_and_the_others_are_done(run, files_of):
    before = Skipped(files_of["a"][0].with_name("notes.doc"), "is no image")
    made, reports, index = run(fail="b", skipped=[before])
    assert made == ["a", "c"]
    assert reports == {"a": None, "b": "has no voxels", "c": None}
    assert list(index.used) == ["a", "c"]
    assert index.skipped == (before, Skipped(files_of["b"][0], "has no voxels"))


def test_an_error_of_the_program_is_not_swallowed_and_the_next_run_goes_on(tmp_path, files_of):
    def make(case):
        if case == "b" and not repaired:
            raise ZeroDivisionError("a mistake")
        made.append(case)
        return {"image": np.zeros(3)}, {}

    def go():
        prepare(
            tmp_path / "cache",
            files_of,
            make,
            skipped=(),
            num_threads=1,
            report=lambda case, reason: None,
        )

    made, repaired = [], False
    with pytest.raises(ZeroDivisionError, match="a mistake"):
        go()
    assert "b" not in made
    with pytest.raises(InputError, match=r"index\.json: is not there; run prepare to the end"):
        read_index(tmp_path / "cache")
    repaired = True
    go()
    assert sorted(made) == ["a", "b", "c"]


def test_leftovers_of_a_killed_run_are_removed_once_they_are_old(tmp_path, run):
    run()
    for name in (".0a1b2c3d-a", ".4e5f6071-b"):
        (tmp_path / "cache" / name).mkdir()
    an_hour_ago = time.time() - 3700
    os.utime(tmp_path / "cache" / ".0a1b2c3d-a", (an_hour_ago, an_hour_ago))
    run()
    assert sorted(path.name for path in (tmp_path / "cache").glob(".*")) == [".4e5f6071-b"]


def test_reading_inverts_writing_the_index(tmp_path, files_of):
    index = Index(files_of, (Skipped(tmp_path / "x.nii", "has 4 axes"),))
    write_index(tmp_path, index)
    assert read_index(tmp_path) == index
