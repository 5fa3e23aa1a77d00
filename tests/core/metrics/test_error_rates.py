"""Error rates over thousands of simulated cohorts: p values under the null, coverage of intervals.

Slow by nature. Bounds are those of the number of simulations.
"""

import numpy as np
import pytest
from scipy import stats

from core.metrics import weighted
from core.metrics.compare import mcnemar
from core.metrics.delong import delong_test, delong_test_unpaired
from core.metrics.intervals import stratified_interval
from core.metrics.permutation import permutation_test

pytestmark = pytest.mark.slow

EFFECT = 0.8
TRUE_AREA = stats.norm.cdf(EFFECT / np.sqrt(2))


def _two_systems(rng, is_positive):
    """Scores of two systems that are as good as each other, and correlated."""
    shared = rng.normal(size=is_positive.size)
    return (rng.normal(size=(2, is_positive.size)) + shared) / np.sqrt(2) + EFFECT * is_positive


def _p_values(test, num, seed=0):
    rng = np.random.default_rng(seed)
    return np.array([test(rng, number) for number in range(num)])


def _assert_uniform(p_values):
    # One time in a thousand it is not so by chance; the seed is fixed.
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def _assert_valid(p_values):
    """P(p ≤ α) is α at most: p values of counts are discrete, so it may be less."""
    for alpha in (0.01, 0.05, 0.2):
        error = np.sqrt(alpha * (1 - alpha) / p_values.size)
        assert np.mean(p_values <= alpha) < alpha + 3.1 * error  # a tail of 0.1 %


def test_delongs_p_values_are_uniform_under_the_null():
    is_positive = np.arange(200) < 80
    _assert_uniform(
        _p_values(
            lambda rng, _: delong_test(*_two_systems(rng, is_positive), is_positive).p_value, 2000
        )
    )


def test_delongs_unpaired_p_values_are_uniform_under_the_null():
    first, second = np.arange(150) < 60, np.arange(250) < 90

    def test(rng, _):
        scores = (rng.normal(size=truth.size) + EFFECT * truth for truth in (first, second))
        a, b = scores
        return delong_test_unpaired(a, first, b, second).p_value

    _assert_uniform(_p_values(test, 2000))


def test_permutation_p_values_of_areas_are_uniform_under_the_null():
    is_positive = np.arange(50) < 20

    def test(rng, number):
        scores = _two_systems(rng, is_positive)
        return permutation_test(
            weighted.auc, *scores, is_positive, seed=number, num_resamples=999
        ).p_value

    p_values = _p_values(test, 1000)
    # Multiples of 1/1000: spread over the step below each, they may be uniform to the letter.
    _assert_uniform(p_values - np.random.default_rng(1).random(1000) / 1000)
    _assert_valid(p_values)


@pytest.mark.parametrize("num", [24, 120], ids=["exact", "random"])
def test_permutation_p_values_of_balanced_accuracy_keep_their_level(num):
    is_positive = np.arange(num) < num // 3

    def test(rng, number):
        called = _two_systems(rng, is_positive) > EFFECT / 2
        return permutation_test(
            weighted.balanced_accuracy, *called, is_positive, seed=number, num_resamples=999
        ).p_value

    # Systems that agree on every patient have no p: they are never called different.
    p_values = np.nan_to_num(_p_values(test, 1000), nan=1)
    _assert_valid(p_values)
    assert np.mean(p_values <= 0.2) > 0.05  # and it does not answer 1 to everything


def test_permutation_swaps_patients_whose_cases_resemble_each_other():
    patients = np.repeat(np.arange(30), 4)
    is_positive = patients < 12

    def test(rng, number, groups):
        scores = np.repeat(_two_systems(rng, is_positive[::4]), 4, axis=1)
        scores += 0.1 * rng.normal(size=scores.shape)
        return permutation_test(
            weighted.auc, *scores, is_positive, seed=number, groups=groups, num_resamples=499
        ).p_value

    _assert_valid(_p_values(lambda rng, number: test(rng, number, patients), 500))
    # Case by case, as if there were four times as many patients, it would not keep its level.
    by_case = _p_values(lambda rng, number: test(rng, number, None), 500)
    assert np.mean(by_case <= 0.05) > 0.1


@pytest.mark.parametrize("num", [60, 600], ids=["exact", "chi_square"])
def test_mcnemars_p_values_keep_their_level(num):
    is_positive = np.arange(num) < num // 3

    def test(rng, _):
        called = _two_systems(rng, is_positive) > EFFECT / 2
        return mcnemar(*(called == is_positive)).p_value

    _assert_valid(np.nan_to_num(_p_values(test, 2000), nan=1))


@pytest.mark.parametrize("name", ["auc", "balanced_accuracy", "accuracy"])
def test_stratified_intervals_cover_the_true_value_about_as_often_as_they_say(name):
    is_positive, num = np.arange(300) < 120, 1000
    threshold = 0.5
    rates = stats.norm.cdf([EFFECT - threshold, threshold])  # sensitivity, specificity
    true = {
        "auc": TRUE_AREA,
        "balanced_accuracy": rates.mean(),
        "accuracy": 0.4 * rates[0] + 0.6 * rates[1],
    }[name]
    rng, covered = np.random.default_rng(0), 0
    for number in range(num):
        scores = rng.normal(size=300) + EFFECT * is_positive
        values = scores if name == "auc" else scores > threshold
        low, high = stratified_interval(
            getattr(weighted, name), values, is_positive, seed=number, num_resamples=500
        )
        covered += low <= true <= high
    # 3.1 binomial standard errors, and what a percentile interval lacks at 120 and 180 patients:
    # it is narrower by √(1 − 1/n), and of rates it is discrete.
    error = np.sqrt(0.95 * 0.05 / num)
    assert covered / num == pytest.approx(0.95, abs=3.1 * error)
