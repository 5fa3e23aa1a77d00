"""Who is learned from, who is held out, and how that is written down."""

import logging
from dataclasses import dataclass

import pytest

from core.commands.train import choose_fold, divide_by_fold, division
from core.data.index import Contents, Entry, write_index
from core.data.parts import Parts
from core.data.splits import Split
from core.errors import InputError
from core.preprocess.appearance import Appearance, Seen

OWN = [Split(("a", "b"), ("c",)), Split(("b", "c"), ("a",))]
PRESCRIBED = (Split(("c",), ("a", "b")), Split(("a", "b"), ("c",)))


@dataclass
class Case:
    id: str
    patient: str
    digest: str


@pytest.fixture
def cache(tmp_path):
    def write(folds=()):
        cases = {id_: Entry((), id_, {}) for id_ in "abc"}
        write_index(tmp_path, {tmp_path: Contents(cases, (), folds)})
        return tmp_path

    return write


def test_without_a_fold_every_case_is_learned_from(cache):
    assert choose_fold(cache(), None, "cab", lambda: OWN) == Parts(("a", "b", "c"), (), ())


def test_the_papers_split_is_used_where_none_is_prescribed(cache):
    assert choose_fold(cache(), 1, "abc", lambda: OWN) == Parts(("b", "c"), (), ("a",))


def test_a_prescribed_split_comes_first_and_the_log_says_so(cache, caplog):
    with caplog.at_level(logging.INFO):
        parts = choose_fold(cache(PRESCRIBED), 0, "abc", lambda: OWN)
    assert parts == Parts(("c",), (), ("a", "b"))
    assert caplog.messages == [
        "fold 0 of the data sets' own split: 1 cases to learn from, 2 held out"
    ]


def test_a_prescribed_split_that_leaves_cases_out_is_not_used_and_the_log_says_so(cache, caplog):
    folder = cache((Split(("a",), ("b",)), Split(("b",), ("a",))))
    assert choose_fold(folder, 0, "abc", lambda: OWN).test == ("c",)
    assert "the data sets' own split is not used" in caplog.text


def test_a_fold_that_does_not_exist_is_refused(cache):
    for fold in (-1, 2):
        with pytest.raises(InputError, match=f"fold {fold} does not exist; .* has 2, from 0"):
            choose_fold(cache(), fold, "abc", lambda: OWN)


@pytest.mark.parametrize(
    ("fold", "expected"), [(1, (["B", "C"], ["A"])), (None, (["A", "B", "C"], []))]
)
def test_a_paper_makes_its_training_of_the_cases_outside_and_inside_the_fold(cache, fold, expected):
    cases, made = [Case(id_, f"patient {id_}", id_.upper()) for id_ in "abc"], []

    def make(*parts):
        made.append(tuple([case.digest for case in part] for part in parts))

    record, training_of = divide_by_fold(cache(), cases, fold, lambda _: OWN, make)
    learned, held_out = expected
    assert record.images == {d: "train" for d in learned} | {d: "test" for d in held_out}
    assert (record.fold, made) == (fold, [])  # who is learned from is on disk before that
    training_of()
    assert made == [expected]


def test_an_image_counts_as_the_most_seen_of_its_parts(tmp_path):
    cases = [Case("a", "p", "A"), Case("b", "p", "B"), Case("c", "q", "C"), Case("d", "r", "D")]
    parts = Parts(("a:1",), ("a:2", "b:1"), ("b:2", "c:1"))
    slices = lambda case: [f"{case.id}:{n}" for n in (1, 2)]  # noqa: E731
    looks = {id_: Appearance((n, n, n), (n, n, n), (n, n, n)) for n, id_ in enumerate("abcd", 1)}
    entries = {id_: Entry((), "", {}, (), id_, (look,)) for id_, look in looks.items()}
    write_index(tmp_path, {tmp_path: Contents(entries)})
    record = division(tmp_path, parts, cases, slices, 3, grid_mm=(1.0, 2.0, 3.0))
    assert record.scans == Seen(looks["a"], looks["a"], (1.0, 2.0, 3.0))
    assert record.images == {"A": "train", "B": "val", "C": "test"}
    assert record.patients == {"p": "train", "q": "test"}
    assert (record.fold, record.train, record.test) == (3, parts.train, parts.test)


@pytest.mark.parametrize(("patients", "told"), [("ppq", True), ("pqq", False), ("pqr", False)])
def test_prescribed_folds_that_part_a_patient_are_a_warning(tmp_path, caplog, patients, told):
    cases = {id_: Entry((), patient, {}) for id_, patient in zip("abc", patients, strict=True)}
    folds = (Split(("a",), ("b", "c")), Split(("b", "c"), ("a",)))
    write_index(tmp_path, {tmp_path: Contents(cases, (), folds)})
    assert choose_fold(tmp_path, 0, "abc", lambda: OWN).test == ("b", "c")
    assert (
        "fold 0 of the data sets' own split has 1 patients on both sides" in caplog.text
    ) is told
