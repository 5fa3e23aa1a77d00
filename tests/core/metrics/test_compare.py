"""Paired comparisons of two systems: worked values, invariances, error rates, what has no p."""

import itertools

import numpy as np
import pytest
from scipy import stats

from core.metrics import weighted
from core.metrics.compare import (
    bootstrap_wilcoxon,
    holm,
    mcnemar,
    median_bootstrap_wilcoxon,
    wilcoxon_signed_rank,
)
from core.metrics.resampling import bootstrap_weights

RNG = np.random.default_rng(0)


def test_signed_ranks_of_few_cases_are_counted_over_all_signs():
    difference = np.array([0.3, -0.1, 0.5, 0.7, 0.2, 0.9])
    ranks = stats.rankdata(np.abs(difference))
    smaller = min(ranks[difference > 0].sum(), ranks[difference < 0].sum())
    sums = [ranks[np.array(s)].sum() for s in itertools.product([False, True], repeat=6)]
    test = wilcoxon_signed_rank(difference + 1, np.ones(6))
    assert test.statistic == smaller
    assert test.p_value == pytest.approx(2 * np.mean(np.array(sums) <= smaller), rel=1e-12)


def test_equal_methods_are_called_different_about_as_often_as_alpha():
    rng, rejected = np.random.default_rng(1), 0
    for _ in range(400):
        first, second = rng.random((2, 30))
        rejected += wilcoxon_signed_rank(first, second).p_value < 0.05
    # Three binomial standard deviations of 400 draws at 5 %.
    assert abs(rejected / 400 - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 400)


def test_signed_ranks_do_not_depend_on_the_order_of_methods_and_allow_ties():
    first = np.round(RNG.random(80), 1)
    second = np.round(RNG.random(80), 1)
    assert wilcoxon_signed_rank(first, second) == wilcoxon_signed_rank(second, first)
    assert wilcoxon_signed_rank(first, second).num == np.count_nonzero(first != second)


def test_holm_raises_p_values_step_by_step():
    # By rising p: 4 · 0.01, max(0.04, 3 · 0.012), max(…, 2 · 0.03), max(…, 1 · 0.04); nan is free.
    adjusted = holm([0.03, 0.01, np.nan, 0.04, 0.012])
    np.testing.assert_allclose(adjusted, [0.06, 0.04, np.nan, 0.06, 0.04], rtol=1e-12)
    assert holm([0.7, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_signed_ranks_leave_undefined_cases_out():
    first, second = RNG.random((2, 12))
    expected = wilcoxon_signed_rank(first, second)
    assert wilcoxon_signed_rank(np.append(first, np.nan), np.append(second, 3.0)) == expected


def test_the_median_over_bootstraps_is_that_of_each():
    first, second = np.round(RNG.random((2, 12)), 2)
    draws = np.random.default_rng(7).integers(12, size=(20, 12))
    each = [stats.wilcoxon((first - second)[d], method="approx").pvalue for d in draws]
    median = median_bootstrap_wilcoxon(first, second, seed=7, num_resamples=20)
    assert median == pytest.approx(np.median(each), rel=1e-12)
    assert np.isnan(median_bootstrap_wilcoxon(first, first, seed=7, num_resamples=20))


def _decisions(num, seed=0):
    rng = np.random.default_rng(seed)
    is_positive = rng.random(num) < 0.4
    return *(is_positive ^ (rng.random((2, num)) < [[0.2], [0.3]])), is_positive


def test_wilcoxon_between_bootstraps_is_that_of_scipy_on_cohorts_drawn_one_by_one():
    first, second, is_positive = _decisions(40)
    weights = bootstrap_weights(is_positive, seed=3, num_resamples=60)
    differences = []
    for counts in weights.astype(int):
        cases = np.repeat(np.arange(40), counts)
        truth = is_positive[cases]
        rates = [
            (called[cases][truth].mean() + (~called[cases][~truth]).mean()) / 2
            for called in (first, second)
        ]
        differences.append(round(rates[0] - rates[1], 9))  # tie as fractions do
    expected = stats.wilcoxon(differences, method="approx").pvalue
    test = bootstrap_wilcoxon(
        weighted.balanced_accuracy, first, second, is_positive, seed=3, num_resamples=60
    )
    assert test.p_value == pytest.approx(expected, rel=1e-6)


def test_wilcoxon_between_bootstraps_grows_sure_with_resamples_and_not_with_patients():
    first, second, is_positive = _decisions(40)
    p_values = [
        bootstrap_wilcoxon(
            weighted.balanced_accuracy, first, second, is_positive, seed=0, num_resamples=num
        ).p_value
        for num in (10, 100, 1000)
    ]
    assert p_values[2] < p_values[1] ** 2 < p_values[0] ** 2


def test_wilcoxon_between_bootstraps_draws_patients_whole():
    decisions = _decisions(40)
    four_each = [np.repeat(values, 4) for values in decisions]
    alone, whole = (
        bootstrap_wilcoxon(weighted.balanced_accuracy, *values, seed=0, groups=groups)
        for values, groups in ((decisions, None), (four_each, np.repeat(range(40), 4)))
    )
    assert whole == alone


@pytest.mark.parametrize(("only_first", "only_second"), [(3, 9), (9, 3), (12, 12), (0, 1)])
def test_mcnemar_of_few_cases_is_binomial(only_first, only_second):
    num = only_first + only_second
    tail = sum(stats.binom.pmf(k, num, 0.5) for k in range(min(only_first, only_second) + 1))
    first = np.repeat([True, False, True, False], [only_first, only_second, 5, 4])
    second = np.repeat([False, True, True, False], [only_first, only_second, 5, 4])
    test = mcnemar(first, second)
    assert test.p_value == pytest.approx(min(1, 2 * tail), rel=1e-12)
    assert (test.statistic, test.num) == (min(only_first, only_second), num)


@pytest.mark.parametrize(("only_first", "only_second"), [(150, 86), (15, 10), (20, 20)])
def test_mcnemar_of_many_cases_is_chi_square_with_correction(only_first, only_second):
    num = only_first + only_second
    first = np.arange(num) < only_first
    test = mcnemar(first, ~first)
    chi2 = max(0, abs(only_first - only_second) - 1) ** 2 / num
    assert test.statistic == pytest.approx(chi2, rel=1e-12)
    # χ² with one degree of freedom is a squared standard normal number.
    assert test.p_value == pytest.approx(2 * stats.norm.sf(np.sqrt(chi2)), rel=1e-10)
    # The binomial test that it stands for.
    assert test.p_value == pytest.approx(stats.binomtest(only_first, num).pvalue, abs=0.01)


ALIKE = np.array([True, False])


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (wilcoxon_signed_rank([0.5, np.nan], [0.5, 1.0]), "no case differs"),
        (wilcoxon_signed_rank([], []), "no case differs"),
        (mcnemar(ALIKE, ALIKE), "no case differs"),
        (
            bootstrap_wilcoxon(weighted.balanced_accuracy, ALIKE, ALIKE, ALIKE, seed=0),
            "no case differs",
        ),
        (
            bootstrap_wilcoxon(weighted.balanced_accuracy, ALIKE, ~ALIKE, ALIKE | True, seed=0),
            "a class has no case",
        ),
    ],
)
def test_what_cannot_be_tested_is_undefined_and_says_why(result, reason):
    assert np.isnan([result.statistic, result.p_value]).all()
    assert result.reason == reason


def test_results_are_plain_numbers():
    first, second, is_positive = _decisions(40)
    for result in (
        wilcoxon_signed_rank([1.0], [2.0]),
        mcnemar(first, second),
        mcnemar(np.ones(30, bool), np.zeros(30, bool)),
        bootstrap_wilcoxon(weighted.balanced_accuracy, first, second, is_positive, seed=0),
    ):
        assert [type(value) for value in result] == [float, float, int, str]
        assert not result.reason


def test_refuses_values_of_other_cases():
    with pytest.raises(ValueError, match=r"first \(2,\), second \(3,\)"):
        wilcoxon_signed_rank([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"first \(2,\), second \(3,\)"):
        median_bootstrap_wilcoxon([1.0, 2.0], [1.0, 2.0, 3.0], seed=0)
    with pytest.raises(ValueError, match=r"first_is_right \(2,\), second_is_right \(1,\)"):
        mcnemar(ALIKE, ALIKE[1:])
    with pytest.raises(ValueError, match=r"second \(1,\)"):
        bootstrap_wilcoxon(weighted.accuracy, ALIKE, ALIKE[1:], ALIKE, seed=0)
