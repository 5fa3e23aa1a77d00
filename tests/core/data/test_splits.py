import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.splits import (
    Split,
    cases_of,
    hard_split,
    k_fold,
    k_fold_and_hard_split,
    stratified_k_fold,
    stratified_split,
)

NORMAL = [f"normal-{i:03}" for i in range(303)]
ABNORMAL = [f"pdac-{i:03}" for i in range(136)]

names = st.sets(st.text(min_size=1, max_size=4), min_size=2, max_size=30)
seeds = st.integers(0, 1000)


@given(names, seeds, st.data())
def test_folds_test_every_patient_once_in_sets_of_equal_size(patients, seed, data):
    num_folds = data.draw(st.integers(2, len(patients)))
    folds = k_fold(patients, num_folds, seed)
    assert sorted(p for fold in folds for p in fold.test) == sorted(patients)
    for fold in folds:
        assert sorted(fold.train + fold.test) == sorted(patients)
        assert len(fold.test) in (len(patients) // num_folds, -(-len(patients) // num_folds))


@given(names, seeds, st.randoms())
def test_splits_do_not_depend_on_the_order_or_on_repetitions(patients, seed, random):
    shuffled = [*patients, *patients]
    random.shuffle(shuffled)
    assert k_fold(shuffled, 2, seed) == k_fold(sorted(patients), 2, seed)
    assert hard_split(shuffled, 1, seed) == hard_split(sorted(patients), 1, seed)


def test_the_seed_decides():
    assert k_fold(ABNORMAL, 4, 0) == k_fold(ABNORMAL, 4, 0)
    assert k_fold(ABNORMAL, 4, 0) != k_fold(ABNORMAL, 4, 1)


def test_a_split_is_the_same_on_every_machine():
    assert hard_split("abcdef", 2, 0) == Split(("d", "f"), ("a", "b", "c", "e"))


def test_every_patient_is_tested_as_often_as_any_other():
    counts = np.zeros(20)
    for seed in range(1000):
        counts[[int(p) for p in hard_split(map(str, range(20)), 10, seed).test]] += 1
    # Binomial(1000, 1/2): standard deviation 16; 5 of them.
    np.testing.assert_allclose(counts, 500, atol=80)


def test_the_pdac_scheme_has_the_numbers_of_the_paper():
    folds = k_fold_and_hard_split(ABNORMAL, NORMAL, num_folds=4, num_train=103, seed=0)
    normal_tests = set()
    for fold in folds:
        train, test = set(fold.train), set(fold.test)
        assert (len(train & set(ABNORMAL)), len(train & set(NORMAL))) == (102, 103)
        assert (len(test & set(ABNORMAL)), len(test & set(NORMAL))) == (34, 200)
        normal_tests.add(frozenset(test & set(NORMAL)))
    assert len(normal_tests) == 1
    assert {p for fold in folds for p in fold.test} >= set(ABNORMAL)


def test_scans_of_a_patient_stay_together():
    patient_of = {"a-1": "a", "a-2": "a", "b-1": "b", "c-1": "c"}
    split = cases_of(Split(train=("a",), test=("b",)), patient_of)
    assert split == Split(train=("a-1", "a-2"), test=("b-1",))


def test_a_name_on_both_sides_is_refused():
    with pytest.raises(ValueError, match="on both sides of a split: b"):
        Split(("a", "b"), ("b", "c"))


@pytest.mark.parametrize("num_folds", [1, 4])
def test_impossible_folds_are_refused(num_folds):
    with pytest.raises(ValueError, match=f"cannot make {num_folds} folds of 3 patients"):
        k_fold("abc", num_folds, 0)


@pytest.mark.parametrize("num_train", [-1, 4])
def test_an_impossible_hard_split_is_refused(num_train):
    with pytest.raises(ValueError, match=f"cannot train on {num_train} of 3 patients"):
        hard_split("abc", num_train, 0)


def test_a_patient_of_both_classes_is_refused():
    with pytest.raises(ValueError, match="in both classes, so on both sides of some fold: b"):
        k_fold_and_hard_split("ab", "bc", num_folds=2, num_train=1, seed=0)


def test_a_patient_without_a_case_is_refused():
    with pytest.raises(ValueError, match="no case of patient z"):
        cases_of(Split(("a",), ("z",)), {"a-1": "a"})


@given(names, seeds, st.data())
def test_of_one_class_stratified_splits_are_the_plain_ones(patients, seed, data):
    class_of = dict.fromkeys(patients, True)
    num = data.draw(st.integers(2, len(patients)))
    assert stratified_k_fold(class_of, num, seed) == k_fold(patients, num, seed)
    assert stratified_split(class_of, num, seed) == hard_split(patients, num, seed)


def test_a_patient_of_any_bytes_has_a_place():
    names = [os.fsdecode(b"\xb1"), "b", "c", "d"]
    assert sorted(n for fold in k_fold(names, 2, 0) for n in fold.test) == sorted(names)
