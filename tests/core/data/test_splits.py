import logging
import os
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.splits import (
    Split,
    cases_of,
    hard_split,
    image_parts,
    k_fold,
    k_fold_and_hard_split,
    nested_k_fold,
    stratified_k_fold,
    stratified_split,
    three_parts,
    with_validation,
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


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.integers(0, 2), min_size=5), seeds)
def test_three_parts_are_near_their_ratio_as_a_whole_and_in_every_class(class_of, seed):
    ratio = (6, 2, 2)
    parts = three_parts(class_of, ratio, seed)
    assert sorted(p for part in parts for p in part) == sorted(class_of)
    for share, part in zip(ratio, parts, strict=True):
        # Rounded up or down: less than one from the ratio; within a class up to one.
        assert abs(len(part) - Fraction(share, 10) * len(class_of)) < 1
        for name in set(class_of.values()):
            size = sum(c == name for c in class_of.values())
            count = sum(class_of[p] == name for p in part)
            assert abs(count - Fraction(share, 10) * size) <= 1


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.booleans(), min_size=5), seeds)
def test_three_parts_do_not_depend_on_the_order(class_of, seed):
    backward = dict(reversed(class_of.items()))
    assert three_parts(class_of, (6, 2, 2), seed) == three_parts(backward, (6, 2, 2), seed)


def test_three_parts_of_ten_patients_are_six_two_and_two():
    parts = three_parts(dict.fromkeys("abcdefghij", False), (6, 2, 2), 0)
    assert [len(part) for part in parts] == [6, 2, 2]
    assert parts != three_parts(dict.fromkeys("abcdefghij", False), (6, 2, 2), 1)


def test_a_part_that_nobody_asked_for_is_empty():
    parts = three_parts(dict.fromkeys("abc", False), (1, 0, 0), 0)
    assert parts == (("a", "b", "c"), (), ())


def test_too_few_patients_for_three_parts_are_refused():
    with pytest.raises(ValueError, match="cannot part 3 patients 6:2:2: each part needs one"):
        three_parts(dict.fromkeys("abc", False), (6, 2, 2), 0)


def test_a_split_by_image_warns_of_the_patients_on_both_sides(caplog):
    patient_of = {f"{patient}-{n}": patient for patient in "abc" for n in range(10)}
    with caplog.at_level(logging.WARNING):
        parts = image_parts(patient_of, (6, 2, 2), 0)
    assert [len(part) for part in parts] == [18, 6, 6]
    assert "3 of 3 patients are learned from and judged on" in caplog.text


classes = st.dictionaries(st.text(min_size=1, max_size=4), st.integers(0, 2), min_size=2)


def counts_of(names, class_of):
    return [sum(class_of[name] == label for name in names) for label in range(3)]


@given(classes, seeds, st.data())
def test_nested_folds_part_the_patients_and_share_out_every_class(class_of, seed, data):
    num_folds = data.draw(st.integers(2, len(class_of)))
    folds = nested_k_fold(class_of, num_folds, 0.2, seed)
    assert sorted(p for fold in folds for p in fold.test) == sorted(class_of)
    for fold in folds:
        assert sorted(p for part in fold for p in part) == sorted(class_of)
        assert len(fold.train) > 0
    assert np.ptp([len(fold.test) for fold in folds]) <= 1
    tests = np.array([counts_of(fold.test, class_of) for fold in folds])
    assert (np.ptp(tests, axis=0) <= 1).all()


@given(classes, seeds, st.fractions(0, 1))
def test_validation_is_a_share_of_the_training_patients_and_of_every_class(
    class_of, seed, fraction
):
    whole = Split(tuple(sorted(class_of)), ())
    parts = with_validation(whole, class_of, float(fraction), seed)
    num = len(class_of)
    assert len(parts.val) == min(round(float(fraction) * num), num - 1)
    for own, all_ in zip(
        counts_of(parts.val, class_of), counts_of(class_of, class_of), strict=True
    ):
        # Rounded up or down, for the validation is what the share of the training leaves.
        assert abs(own - Fraction(len(parts.val) * all_, num)) < 1


@given(classes, seeds)
def test_stratified_splits_do_not_depend_on_the_order(class_of, seed):
    backward = dict(reversed(class_of.items()))
    assert nested_k_fold(class_of, 2, 0.2, seed) == nested_k_fold(backward, 2, 0.2, seed)


@given(names, seeds, st.data())
def test_of_one_class_stratified_splits_are_the_plain_ones(patients, seed, data):
    class_of = dict.fromkeys(patients, True)
    num = data.draw(st.integers(2, len(patients)))
    assert stratified_k_fold(class_of, num, seed) == k_fold(patients, num, seed)
    assert stratified_split(class_of, num, seed) == hard_split(patients, num, seed)


def test_five_nested_folds_are_64_16_and_20_percent():
    """The Discovery set of Zheng et al.: 749 patients, 351 of them with metastases."""
    class_of = {f"{i:03}": i < 351 for i in range(749)}
    for parts in nested_k_fold(class_of, 5, 0.2, 0):
        for part, share in zip(parts, (0.64, 0.16, 0.2), strict=True):
            positive = sum(class_of[p] for p in part)
            assert abs(len(part) - share * 749) < 1
            assert abs(positive - share * 351) < 2  # two roundings, of the fold and inside it


def test_the_seed_decides_who_validates():
    class_of = {p: p in ABNORMAL for p in (*NORMAL, *ABNORMAL)}
    assert nested_k_fold(class_of, 4, 0.2, 0) != nested_k_fold(class_of, 4, 0.2, 1)


def test_more_nested_folds_than_patients_are_refused():
    with pytest.raises(ValueError, match="cannot make 3 folds of 2 patients"):
        nested_k_fold({"a": 0, "b": 1}, 3, 0.2, 0)


def test_a_patient_of_any_bytes_has_a_place():
    names = [os.fsdecode(b"\xb1"), "b", "c", "d"]
    assert sorted(n for fold in k_fold(names, 2, 0) for n in fold.test) == sorted(names)
