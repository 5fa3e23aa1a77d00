import logging
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.parts import image_parts, nested_k_fold, three_parts, with_validation
from core.data.splits import Split

seeds = st.integers(0, 1000)


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


def test_five_nested_folds_are_64_16_and_20_percent():
    """The Discovery set of Zheng et al.: 749 patients, 351 of them with metastases."""
    class_of = {f"{i:03}": i < 351 for i in range(749)}
    for parts in nested_k_fold(class_of, 5, 0.2, 0):
        for part, share in zip(parts, (0.64, 0.16, 0.2), strict=True):
            positive = sum(class_of[p] for p in part)
            assert abs(len(part) - share * 749) < 1
            assert abs(positive - share * 351) < 2  # two roundings, of the fold and inside it


def test_the_seed_decides_who_validates():
    class_of = {f"{i:03}": i < 136 for i in range(439)}
    assert nested_k_fold(class_of, 4, 0.2, 0) != nested_k_fold(class_of, 4, 0.2, 1)


def test_more_nested_folds_than_patients_are_refused():
    with pytest.raises(ValueError, match="cannot make 3 folds of 2 patients"):
        nested_k_fold({"a": 0, "b": 1}, 3, 0.2, 0)
