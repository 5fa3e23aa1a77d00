"""Tests of hypotheses: worked values, invariances, error rates, and what cannot be tested."""

import itertools

import numpy as np
import pytest
from scipy import stats

from core.metrics.hypothesis import (
    holm,
    kruskal_wallis,
    pairwise,
    shapiro_wilk,
    wilcoxon_signed_rank,
)

RNG = np.random.default_rng(0)
GROUPS = {"tail": RNG.normal(size=12), "uncinate": RNG.normal(size=5) + 2, "neck": RNG.random(7)}


def test_shapiro_wilk_tells_normal_from_skewed_values():
    normal = stats.norm.ppf((np.arange(50) + 0.5) / 50)
    assert shapiro_wilk(normal).p_value > 0.9
    assert shapiro_wilk(np.exp(2 * normal)).p_value < 1e-6


def test_kruskal_wallis_is_its_formula_without_ties():
    values = np.concatenate(list(GROUPS.values()))
    ranks = np.split(stats.rankdata(values), np.cumsum([12, 5]))
    n = values.size
    expected = 12 / (n * (n + 1)) * sum(r.sum() ** 2 / r.size for r in ranks) - 3 * (n + 1)
    test = kruskal_wallis(GROUPS)
    assert test.statistic == pytest.approx(expected, rel=1e-12)  # float64, other order of terms
    assert test.p_value == pytest.approx(stats.chi2.sf(expected, 2), rel=1e-10)
    assert test.num == n


def test_of_two_groups_it_is_the_mann_whitney_test():
    for (a, b), test in pairwise(GROUPS).items():
        peer = stats.mannwhitneyu(
            GROUPS[a], GROUPS[b], use_continuity=False, method="asymptotic"
        ).pvalue
        assert test.p_value == pytest.approx(peer, rel=1e-10)  # χ² against the normal tail
    assert list(pairwise(GROUPS)) == [("tail", "uncinate"), ("tail", "neck"), ("uncinate", "neck")]


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


def test_undefined_values_are_left_out():
    values = np.append(GROUPS["tail"], np.nan)
    assert shapiro_wilk(values) == shapiro_wilk(GROUPS["tail"])
    assert kruskal_wallis({**GROUPS, "tail": values, "head": [np.nan]}) == kruskal_wallis(GROUPS)
    other = np.append(GROUPS["tail"] + RNG.normal(size=12), 3.0)
    assert wilcoxon_signed_rank(values, other) == wilcoxon_signed_rank(values[:-1], other[:-1])


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (shapiro_wilk([1.0, 2.0]), "needs 3 values, has 2"),
        (shapiro_wilk([1.0, 2.0, np.nan]), "needs 3 values, has 2"),
        (shapiro_wilk([0.5] * 4), "all values are equal"),
        (shapiro_wilk(RNG.random(5001)), "holds up to 5000 values, has 5001"),
        (kruskal_wallis({}), "needs 2 groups with values, has 0"),
        (kruskal_wallis({"T1": [0.5, 0.7], "T2": []}), "needs 2 groups with values, has 1"),
        (kruskal_wallis({"T1": [0.5, 0.5], "T2": [0.5]}), "all values are equal"),
        (wilcoxon_signed_rank([0.5, np.nan], [0.5, 1.0]), "no case differs"),
        (wilcoxon_signed_rank([], []), "no case differs"),
    ],
)
def test_what_cannot_be_tested_is_undefined_and_says_why(result, reason):
    assert np.isnan([result.statistic, result.p_value]).all()
    assert result.reason == reason


def test_results_are_plain_numbers():
    for result in (
        shapiro_wilk(GROUPS["tail"]),
        kruskal_wallis(GROUPS),
        wilcoxon_signed_rank([1.0], [2.0]),
    ):
        assert [type(value) for value in result] == [float, float, int, str]
        assert not result.reason


def test_holm_raises_p_values_step_by_step():
    # By rising p: 4 · 0.01, max(0.04, 3 · 0.012), max(…, 2 · 0.03), max(…, 1 · 0.04); nan is free.
    adjusted = holm([0.03, 0.01, np.nan, 0.04, 0.012])
    np.testing.assert_allclose(adjusted, [0.06, 0.04, np.nan, 0.06, 0.04], rtol=1e-12)
    assert holm([0.7, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_refuses_values_that_are_not_one_per_case():
    with pytest.raises(ValueError, match="values must have 1 axes"):
        shapiro_wilk(np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"first \(2,\), second \(3,\)"):
        wilcoxon_signed_rank([1.0, 2.0], [1.0, 2.0, 3.0])
