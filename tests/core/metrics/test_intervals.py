"""Confidence intervals against closed forms, brute force and simulation."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm

from core.metrics import weighted
from core.metrics.classification import auc, f1
from core.metrics.intervals import (
    bootstrap_interval,
    delong_interval,
    f1_interval,
    stratified_interval,
    wilson_interval,
)
from core.metrics.overlap import Counts
from core.metrics.resampling import bootstrap_weights


@pytest.mark.parametrize(("successes", "num"), [(128, 136), (197, 200), (0, 9), (9, 9), (1, 1)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilson_interval_is_that_of_scipy(successes, num, confidence):
    expected = binomtest(successes, num).proportion_ci(confidence, method="wilson")
    ours = wilson_interval(successes, num, confidence=confidence)
    # Float64, another order of terms.
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-15)


def test_wilson_interval_of_no_case_is_undefined():
    assert np.isnan(wilson_interval(0, 0)).all()


def test_f1_interval_is_that_of_its_proportion():
    counts = Counts(true_positive=230, false_positive=25, false_negative=35, true_negative=57)
    low, high = f1_interval(counts)
    bounds = wilson_interval(230, 230 + 25 + 35)
    assert (low, high) == tuple(2 * p / (1 + p) for p in bounds)
    assert low < f1(counts) < high
    assert np.isnan(f1_interval(Counts(0, 0, 0, 9))).all()


def test_f1_interval_covers_the_true_score_about_as_often_as_it_says():
    rng, num = np.random.default_rng(0), 2000
    shares = np.array([0.5, 0.1, 0.15, 0.25])
    drawn = (Counts(*map(int, row)) for row in rng.multinomial(120, shares, num))
    inside = [low <= 1 / 1.25 <= high for low, high in map(f1_interval, drawn)]
    # 2 · 0.5 / (1 + 0.25) = 0.8; 0.95 ± four standard errors.
    assert np.mean(inside) == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / num))


def test_wilson_interval_holds_the_proportion_and_stays_inside():
    for num in range(1, 40):
        for successes in range(num + 1):
            low, high = wilson_interval(successes, num)
            assert 0 <= low <= successes / num <= high <= 1


def test_refuses_more_successes_than_cases():
    with pytest.raises(ValueError, match=r"\[0, num\]; got 3 of 2"):
        wilson_interval(3, 2)


def test_refuses_a_confidence_in_percent():
    for interval in (
        lambda: wilson_interval(1, 2, confidence=95),
        lambda: bootstrap_interval(np.ones(3), seed=0, confidence=95),
        lambda: delong_interval(np.zeros(2), np.array([True, False]), confidence=95),
        lambda: stratified_interval(
            weighted.auc, np.zeros(2), np.array([True, False]), seed=0, confidence=95
        ),
    ):
        with pytest.raises(ValueError, match=r"confidence must lie in \[0, 1\]; got 95"):
            interval()


def test_bootstrap_is_a_pure_function_of_its_seed():
    values = np.random.default_rng(0).random(20)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


def test_bootstrap_of_groups_is_that_of_their_means_where_they_are_equally_large():
    means = np.random.default_rng(0).random(15)
    values, groups = np.repeat(means, 4), np.repeat([f"p{n:02d}" for n in range(15)], 4)
    order = np.random.default_rng(1).permutation(60)
    ours = bootstrap_interval(values[order], seed=0, groups=list(groups[order]))
    # Float64, another order of terms.
    np.testing.assert_allclose(ours, bootstrap_interval(means, seed=0), rtol=1e-12)
    alone = bootstrap_interval(values, seed=0)
    assert ours.high - ours.low > 1.5 * (alone.high - alone.low)  # √4 in the limit


def test_bootstrap_of_groups_of_one_case_is_that_of_cases():
    values = np.array([0.1, np.nan, 0.4, 0.9])
    assert bootstrap_interval(values, seed=0, groups=list("abcd")) == bootstrap_interval(
        values, seed=0
    )


def test_bootstrap_needs_two_groups_with_a_value_and_a_group_for_each_case():
    values = np.array([0.1, 0.2, np.nan])
    assert np.isnan(bootstrap_interval(values, seed=0, groups=["a", "a", "b"])).all()
    with pytest.raises(ValueError, match="groups must be one per case; got 2 for 3"):
        bootstrap_interval(values, seed=0, groups=["a", "b"])


def test_bootstrap_is_near_the_normal_interval_for_many_cases():
    values = np.random.default_rng(0).normal(size=400)
    reach = norm.ppf(0.975) * values.std() / np.sqrt(values.size)
    ours = bootstrap_interval(values, seed=0, num_resamples=10_000)
    # A 2.5 % quantile of 10,000 draws has a standard error near 0.03 standard errors of the mean.
    np.testing.assert_allclose(
        ours, [values.mean() - reach, values.mean() + reach], atol=reach / 10
    )


def test_bootstrap_leaves_undefined_values_out():
    values = np.array([0.2, np.nan, 0.6, 0.8])
    assert bootstrap_interval(values, seed=0) == bootstrap_interval(values[[0, 2, 3]], seed=0)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, np.nan]])
def test_bootstrap_of_fewer_than_two_cases_is_undefined(values):
    assert np.isnan(bootstrap_interval(np.array(values, float), seed=0)).all()


def test_refuses_values_that_are_not_one_per_case():
    with pytest.raises(ValueError, match="values must have 1 axes"):
        bootstrap_interval(np.zeros((2, 2)), seed=0)


def test_delong_is_that_of_the_pairwise_definition():
    rng = np.random.default_rng(0)
    is_positive = rng.random(50) < 0.4
    scores = np.round(rng.normal(size=50) + is_positive, 1)
    x, y = scores[is_positive][:, None], scores[~is_positive][None]
    wins = (x > y) + 0.5 * (x == y)
    variance = wins.mean(1).var(ddof=1) / len(x) + wins.mean(0).var(ddof=1) / y.size
    reach = norm.ppf(0.975) * np.sqrt(variance)
    ours = delong_interval(scores, is_positive)
    # Midranks against pairs, float64.
    np.testing.assert_allclose(ours, [wins.mean() - reach, wins.mean() + reach], rtol=1e-10)


def test_delong_covers_the_true_area_about_as_often_as_it_says():
    rng, covered, true_area = np.random.default_rng(0), 0, norm.cdf(1 / np.sqrt(2))
    is_positive = np.arange(120) < 50
    for _ in range(400):
        low, high = delong_interval(rng.normal(size=120) + is_positive, is_positive)
        covered += low <= true_area <= high
    # Three binomial standard deviations of 400 draws at 95 %.
    assert abs(covered / 400 - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 400)


@pytest.mark.parametrize(
    ("scores", "is_positive"),
    [
        ([0.1, 0.2, 0.8, 0.9], [False, False, True, True]),  # separated: no variance to estimate
        ([0.1, 0.2, 0.9], [False, False, True]),
        ([0.1, 0.2], [False, False]),
    ],
)
def test_delong_is_undefined_where_nothing_can_be_estimated(scores, is_positive):
    interval = delong_interval(np.array(scores), np.array(is_positive))
    assert np.isnan(interval).all()


def test_delong_is_cut_to_the_range_of_an_area():
    scores = np.array([0.0, 0.1, 0.2, 0.6, 0.5, 0.7, 0.8, 0.9])
    is_positive = np.arange(8) >= 4
    low, high = delong_interval(scores, is_positive)
    assert 0 <= low < auc(scores, is_positive) < high == 1


def _cohort(num=60):
    rng = np.random.default_rng(0)
    is_positive = np.arange(num) < 0.4 * num
    return rng.normal(size=num) + is_positive, is_positive


def test_stratified_interval_has_the_percentiles_of_resampled_cohorts():
    scores, is_positive = _cohort()
    resampled = []
    for counts in bootstrap_weights(is_positive, seed=5).astype(int):
        cases = np.repeat(np.arange(60), counts)
        resampled.append(auc(scores[cases], is_positive[cases]))
    expected = np.percentile(resampled, [10, 90])
    ours = stratified_interval(weighted.auc, scores, is_positive, seed=5, confidence=0.8)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)  # float64, another order of terms


def test_stratified_interval_of_a_rate_is_near_that_of_its_binomial_number():
    called, is_positive = np.arange(400) % 4 > 0, np.arange(400) < 200
    ours = stratified_interval(
        weighted.sensitivity, called, is_positive, seed=0, num_resamples=10_000
    )
    # 150 of 200; a bootstrap of one class is binomial. One case is the step of a percentile.
    np.testing.assert_allclose(ours, binom.ppf([0.025, 0.975], 200, 0.75) / 200, atol=1.01 / 200)


def test_stratified_interval_is_wider_where_patients_have_several_cases():
    scores, is_positive = _cohort()
    repeated = (np.repeat(scores, 4), np.repeat(is_positive, 4))
    whole = stratified_interval(weighted.auc, *repeated, seed=0, groups=np.repeat(range(60), 4))
    # The same draws, patient by patient.
    expected = stratified_interval(weighted.auc, scores, is_positive, seed=0)
    np.testing.assert_allclose(whole, expected, rtol=1e-12)
    alone = stratified_interval(weighted.auc, *repeated, seed=0)
    assert whole.high - whole.low > 1.5 * (alone.high - alone.low)  # √4 in the limit


def test_stratified_interval_needs_two_patients_of_a_class_and_a_defined_statistic():
    scores, is_positive = _cohort()
    one_positive = slice(23, None)
    only_positive = slice(24)
    for statistic, part in (
        (weighted.auc, one_positive),
        (weighted.auc, only_positive),
        (weighted.auc, slice(0)),
    ):
        assert np.isnan(
            stratified_interval(statistic, scores[part], is_positive[part], seed=0)
        ).all()
    called = scores[only_positive] > 0.5
    sensitivity = stratified_interval(
        weighted.sensitivity, called, is_positive[only_positive], seed=0
    )
    assert 0 < sensitivity.low < called.mean() < sensitivity.high < 1


def test_stratified_interval_refuses_values_of_other_cases():
    with pytest.raises(ValueError, match=r"values \(2,\), is_positive \(3,\)"):
        stratified_interval(weighted.auc, np.zeros(2), np.zeros(3, bool), seed=0)
