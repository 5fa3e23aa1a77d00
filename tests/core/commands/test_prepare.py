import logging
import os
import time
from dataclasses import dataclass

import numpy as np
import pytest

from core.commands.prepare import find_cache, load, prepare, warn_of_empty_classes
from core.commands.sources import Source, Sources, digest
from core.data.index import cases_of, prescribed_folds, read_index
from core.data.splits import Split
from core.errors import InputError
from core.io.paths import Skipped
from core.io.remarks import remark
from core.lock import LOCK, only_writer
from tests.refusals import refused


class Cohort:
    """A data set of text files, a number in each, and what was read of it."""

    def __init__(self, root, cases, *, first=0):
        self.root, self.made, self.broken, self.odd = root, [], {}, {}
        root.mkdir()
        self.files = {id_: root / f"{id_}.txt" for id_ in cases}
        for number, file in enumerate(self.files.values()):
            file.write_text(str(number + first))

    def sources(self, *, skipped=(), folds=(), patients=None):
        cases = [
            Source(id_, (patients or {}).get(id_, id_), (file,), self._reader(id_, file), lambda: 8)
            for id_, file in self.files.items()
        ]
        return Sources(self.root, cases, skipped, folds)

    def _reader(self, id_, file):
        def read():
            if id_ in self.broken:
                raise self.broken[id_]
            self.made.append(id_)
            if id_ in self.odd:
                remark(file, self.odd[id_])
            image = np.full((2, 2, 2), int(file.read_text()))
            return {"image": image}, {"id": id_, "digest": digest(image)}

        return read


@pytest.fixture
def cohort(tmp_path):
    return Cohort(tmp_path / "one", "abc")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.mark.parametrize("at_a_time", [1, 4])
def test_every_case_is_made_once(cohort, cache, at_a_time):
    assert prepare([cohort.sources()], cache, at_a_time=at_a_time) == 0
    assert sorted(cohort.made) == ["a", "b", "c"]
    assert [case.stored.arrays["image"][0, 0, 0] for case in load(cache)] == [0, 1, 2]
    prepare([cohort.sources()], cache, at_a_time=1)
    assert len(cohort.made) == 3


def test_only_a_case_whose_source_changed_is_made_again(cohort, cache):
    prepare([cohort.sources()], cache, at_a_time=1)
    cohort.files["b"].write_text("17")
    prepare([cohort.sources()], cache, at_a_time=1)
    assert sorted(cohort.made) == ["a", "b", "b", "c"]
    assert load(cache)[1].stored.arrays["image"][0, 0, 0] == 17


@pytest.mark.parametrize(
    "error", [InputError("has no voxels"), OSError(5, "bad disk"), ZeroDivisionError("a mistake")]
)
def test_a_case_that_cannot_be_read_is_counted_and_the_others_are_done(cohort, cache, error):
    cohort.broken = {"b": error}
    foreign = Skipped(cohort.root / "notes.doc", "is no image")
    assert prepare([cohort.sources(skipped=[foreign])], cache, at_a_time=2) == 1
    contents = read_index(cache)[cohort.root.resolve()]
    assert list(contents.cases) == ["a", "c"]
    assert contents.skipped[0] == foreign
    assert contents.skipped[1].is_broken
    assert str(error.args[-1] if not isinstance(error, InputError) else "no voxels") in (
        contents.skipped[1].reason
    )


def test_what_a_reader_remarks_stays_in_the_index(cohort, cache, caplog):
    cohort.odd["b"] = "has no offset"
    line = f"{cohort.files['b']}: has no offset"
    for _ in range(2):  # made, and found made
        prepare([cohort.sources()], cache, at_a_time=2)
        entries = cases_of(read_index(cache))
        assert {id_: entry.remarks for id_, entry in entries.items()} == {
            "a": (),
            "b": (line,),
            "c": (),
        }
    assert caplog.messages.count(line) == 1


def test_a_labelled_case_that_the_reader_lost_counts(cohort, cache):
    lost = Skipped(cohort.root / "d.txt", "label is missing", is_broken=True)
    assert prepare([cohort.sources(skipped=[lost])], cache, at_a_time=1) == 1


def test_another_data_set_adds_its_cases(tmp_path, cohort, cache):
    other = Cohort(tmp_path / "two", "xy", first=10)
    prepare([cohort.sources()], cache, at_a_time=1)
    prepare([other.sources()], cache, at_a_time=1)
    assert [case.id for case in load(cache)] == ["a", "b", "c", "x", "y"]
    prepare([cohort.sources(), other.sources()], cache, at_a_time=1)
    assert list(cases_of(read_index(cache))) == ["a", "b", "c", "x", "y"]
    assert len(cohort.made + other.made) == 5


def test_a_case_id_of_two_data_sets_is_refused_and_nothing_is_lost(tmp_path, cohort, cache):
    prepare([cohort.sources()], cache, at_a_time=1)
    other = Cohort(tmp_path / "two", "cd")
    other.files["c"].write_text("another content")
    with pytest.raises(InputError, match="has a case 'c'") as refusal:
        prepare([other.sources()], cache, at_a_time=1)
    assert refusal.value.path == other.root.resolve()
    assert [case.id for case in load(cache)] == ["a", "b", "c"]


def test_a_data_set_that_was_moved_keeps_its_cases(tmp_path, cohort, cache):
    prepare([cohort.sources()], cache, at_a_time=1)
    moved = tmp_path / "moved"
    cohort.root.rename(moved)
    cohort.files = {id_: moved / file.name for id_, file in cohort.files.items()}
    cohort.root = moved
    prepare([cohort.sources()], cache, at_a_time=1)
    assert sorted(cohort.made) == ["a", "b", "c"]
    assert list(read_index(cache)) == [moved.resolve()]


def test_what_tables_say_is_taken_anew_without_reading_a_case_again(cohort, cache):
    prepare([cohort.sources()], cache, at_a_time=1)
    prepare([cohort.sources(patients={"a": "p1", "b": "p1"})], cache, at_a_time=1)
    assert [case.entry.patient for case in load(cache)] == ["p1", "p1", "c"]
    assert len(cohort.made) == 3


def test_no_usable_case_is_refused_with_a_reason(cohort, cache):
    cohort.broken = dict.fromkeys("abc", InputError("is cut short"))
    with pytest.raises(InputError, match="has no usable case") as refusal:
        prepare([cohort.sources()], cache, at_a_time=1)
    assert refusal.value.hint == "is cut short"


def test_an_interrupted_preparation_goes_on(cohort, cache):
    cohort.broken = {"b": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        prepare([cohort.sources()], cache, at_a_time=1)
    with pytest.raises(InputError, match="run prepare to the end"):
        load(cache)
    cohort.broken = {}
    prepare([cohort.sources()], cache, at_a_time=1)
    assert sorted(cohort.made) == ["a", "b", "c"]


@pytest.mark.parametrize("age_s", [3700, 0, -3700])
def test_leftovers_of_a_killed_run_are_removed_whatever_the_clock_says(cohort, cache, age_s):
    prepare([cohort.sources()], cache, at_a_time=1)
    (cache / ".0a1b2c3d-a").mkdir()
    (cache / LOCK).write_text("process 1 on another machine")
    changed = time.time() - age_s
    os.utime(cache / ".0a1b2c3d-a", (changed, changed))
    prepare([cohort.sources()], cache, at_a_time=1)
    assert not list(cache.glob(".*"))


def test_a_cache_that_another_call_fills_is_refused(cohort, cache):
    with only_writer(cache), refused(cache, "is being written by", hint="wait"):
        prepare([cohort.sources()], cache, at_a_time=1)
    assert prepare([cohort.sources()], cache, at_a_time=1) == 0


def test_prescribed_folds_hold_for_all_data_sets_or_none(tmp_path, cohort, cache):
    folds = [Split(("a", "b"), ("c",)), Split(("c",), ("a", "b"))]
    prepare([cohort.sources(folds=folds)], cache, at_a_time=1)
    assert prescribed_folds(read_index(cache)) == tuple(folds)
    other = Cohort(tmp_path / "two", "xy", first=10)
    prepare(
        [other.sources(folds=[Split(("x",), ("y",)), Split(("y",), ("x",))])], cache, at_a_time=1
    )
    assert prescribed_folds(read_index(cache))[0] == Split(("a", "b", "x"), ("c", "y"))
    prepare([other.sources()], cache, at_a_time=1)
    assert prescribed_folds(read_index(cache)) == ()


def test_folds_that_leave_a_case_out_are_not_used(cohort, cache):
    prepare([cohort.sources(folds=[Split(("a",), ("c",))])], cache, at_a_time=1)
    assert prescribed_folds(read_index(cache)) == ()


def test_a_case_that_was_left_out_is_out_of_its_fold(cohort, cache):
    cohort.broken = {"b": InputError("is cut short")}
    prepare([cohort.sources(folds=[Split(("a", "b"), ("c",))])], cache, at_a_time=1)
    assert prescribed_folds(read_index(cache)) == (Split(("a",), ("c",)),)


def test_folds_that_the_layout_does_not_read_are_a_warning(cohort, cache, caplog):
    for name, warnings in (("splits.json", 0), ("splits_final.json", 1)):
        skipped = [Skipped(cohort.root / name, "no image by its ending '.json'")]
        prepare([cohort.sources(skipped=skipped)], cache, at_a_time=1)
        assert [r.levelname for r in caplog.records].count("WARNING") == warnings
    assert str(cohort.root) in caplog.text


def test_an_index_of_an_older_version_says_what_to_do(cache):
    cache.mkdir()
    (cache / "index.json").write_text('{"version": 1, "used": {}, "skipped": []}')
    with pytest.raises(InputError, match="is of version 1; run prepare again"):
        read_index(cache)


def prepared_into(cohort):
    return lambda data, out: prepare([cohort.sources()], out / "wanted", at_a_time=1)


def find(data, cohort, workdir):
    return find_cache(
        data, "wanted", prepare_into=prepared_into(cohort), workdir=workdir, command="run it so"
    )


def test_a_cache_is_used_and_a_data_set_is_prepared_into_the_run(tmp_path, cohort, cache):
    assert find([cohort.root], cohort, tmp_path / "run") == tmp_path / "run/prepared/wanted"
    prepare([cohort.sources()], cache / "wanted", at_a_time=1)
    assert find([cache], cohort, tmp_path / "run") == cache / "wanted"


def test_another_preparation_gives_the_command_and_no_config(tmp_path, cohort, cache):
    prepare([cohort.sources()], cache / "other", at_a_time=1)
    with pytest.raises(InputError, match="prepared otherwise") as refusal:
        find([cache], cohort, tmp_path / "run")
    assert (refusal.value.path, refusal.value.hint) == (cache, "run it so")


def test_a_cache_among_data_sets_is_refused(tmp_path, cohort, cache):
    prepare([cohort.sources()], cache / "wanted", at_a_time=1)
    with pytest.raises(InputError, match="is a cache, and others are given beside it"):
        find([cache, cohort.root], cohort, tmp_path / "run")


@dataclass
class Patient:
    patient: str
    tumor: bool


def test_an_empty_class_is_a_warning_with_numbers(caplog):
    classes = {"with a tumor": lambda c: c.tumor, "without a tumor": lambda c: not c.tumor}
    cases = [Patient("p", True), Patient("p", True), Patient("q", True)]
    with caplog.at_level(logging.INFO):
        warn_of_empty_classes(cases, classes)
        warn_of_empty_classes([*cases, Patient("r", False)], classes)
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.INFO]
    assert "3 cases of 2 patients: 3 with a tumor, 0 without" in caplog.messages[0]


def test_a_digest_knows_an_image_whatever_its_type_and_tells_shapes_apart():
    image = np.arange(-12, 12, dtype=np.int16).reshape(2, 3, 4)
    assert digest(image) == digest(image.astype(np.float32) + 0.3)
    assert digest(image) != digest(image + 1)
    assert digest(image) != digest(image.reshape(2, 4, 3))


def test_folds_that_no_reader_took_are_a_warning(cohort, cache, caplog):
    (cohort.root / "splits_final.json").write_text("[]")
    prepare([cohort.sources(folds=[Split(("a", "b"), ("c",))])], cache, at_a_time=1)
    assert "splits_final.json is not used" not in caplog.text
    prepare([cohort.sources()], cache, at_a_time=1)
    assert f"{cohort.root}: splits_final.json is not used" in caplog.text
