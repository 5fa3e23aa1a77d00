"""Swapping the answers of two systems: all swaps, SciPy's, patients, and what has no p."""

import itertools

import numpy as np
import pytest
from scipy import stats

from core.metrics import classification, weighted
from core.metrics.overlap import confusion_counts
from core.metrics.permutation import permutation_test

IS_POSITIVE = np.arange(9) < 4


def _scores(num=9, seed=0):
    return np.random.default_rng(seed).permuted(np.tile(np.arange(num), (2, 1)), axis=1)


def _balanced(called, is_positive):
    return classification.balanced_accuracy(confusion_counts(called, is_positive))


@pytest.mark.parametrize("seed", range(3))
def test_few_patients_are_swapped_in_all_ways_as_by_scipy(seed):
    first, second = _scores(seed=seed)
    for ours, values, single in (
        (weighted.auc, (first, second), classification.auc),
        (weighted.balanced_accuracy, (first > 4, second > 3), _balanced),
    ):
        peer = stats.permutation_test(
            values,
            lambda a, b, single=single: single(a, IS_POSITIVE) - single(b, IS_POSITIVE),
            permutation_type="samples",
            n_resamples=np.inf,
        )
        test = permutation_test(ours, *values, IS_POSITIVE, seed=0)
        assert test.statistic == pytest.approx(peer.statistic, abs=1e-12)
        # SciPy doubles the smaller tail: where nothing differs, more than half lies in both.
        assert test.p_value == pytest.approx(min(1, peer.pvalue), rel=1e-12)


def test_patients_are_swapped_whole():
    first, second = _scores()
    groups, differences = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3]), []
    for swaps in itertools.product([False, True], repeat=4):
        swapped = np.array(swaps)[groups]
        a, b = np.where(swapped, second, first), np.where(swapped, first, second)
        differences.append(classification.auc(a, IS_POSITIVE) - classification.auc(b, IS_POSITIVE))
    as_different = np.abs(differences) >= abs(differences[0]) - 1e-9
    test = permutation_test(weighted.auc, first, second, IS_POSITIVE, seed=0, groups=groups)
    assert test.p_value == as_different.mean()
    assert test.num == 4


def test_many_patients_are_swapped_at_random_near_the_exact_p():
    first, second = _scores(14, seed=3)
    is_positive = np.arange(14) % 2 == 0
    exact, random = (
        permutation_test(weighted.auc, first, second, is_positive, seed=0, num_resamples=num)
        for num in (2**14, 5000)
    )
    # Four standard errors of a share of 5,000 draws.
    error = np.sqrt(exact.p_value * (1 - exact.p_value) / 5000)
    assert random.p_value == pytest.approx(exact.p_value, abs=4 * error)
    assert (random.p_value * 5001) % 1 == pytest.approx(0, abs=1e-6)


def test_random_p_is_never_zero():
    is_positive = np.arange(60) < 30
    test = permutation_test(
        weighted.balanced_accuracy, is_positive, ~is_positive, is_positive, seed=0, num_resamples=99
    )
    assert test.p_value == 1 / 100
    assert test.statistic == 1


def test_there_may_be_thousands_of_patients():
    is_positive = np.arange(3000) < 1500
    test = permutation_test(
        weighted.accuracy, is_positive, ~is_positive, is_positive, seed=0, num_resamples=20
    )
    assert (test.p_value, test.num) == (1 / 21, 3000)


def test_a_test_is_a_pure_function_of_its_seed_and_ignores_the_order_of_systems():
    first, second = _scores(40)
    is_positive = np.arange(40) < 15

    def test(a, b, seed):
        return permutation_test(weighted.auc, a, b, is_positive, seed=seed, num_resamples=500)

    assert test(first, second, 1) == test(first, second, 1)
    assert test(first, second, 1) != test(first, second, 2)
    assert test(second, first, 1).p_value == test(first, second, 1).p_value


@pytest.mark.parametrize(
    ("second", "is_positive", "reason"),
    [
        (IS_POSITIVE, IS_POSITIVE, "no patient differs"),
        (~IS_POSITIVE, IS_POSITIVE | True, "a class has no case"),
    ],
)
def test_what_cannot_be_tested_is_undefined_and_says_why(second, is_positive, reason):
    test = permutation_test(weighted.balanced_accuracy, IS_POSITIVE, second, is_positive, seed=0)
    assert np.isnan([test.statistic, test.p_value]).all()
    assert test.reason == reason


def test_refuses_answers_or_groups_of_other_cases():
    with pytest.raises(ValueError, match=r"second \(8,\)"):
        permutation_test(weighted.auc, IS_POSITIVE, IS_POSITIVE[1:], IS_POSITIVE, seed=0)
    with pytest.raises(ValueError, match="groups must be one per case; got 2 for 9"):
        permutation_test(
            weighted.accuracy, IS_POSITIVE, ~IS_POSITIVE, IS_POSITIVE, seed=0, groups=[0, 1]
        )
