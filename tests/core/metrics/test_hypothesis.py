"""Tests of hypotheses: worked values, invariances, error rates, and what cannot be tested."""

import numpy as np
import pytest
from scipy import stats

from core.metrics.hypothesis import (
    kruskal_wallis,
    pairwise,
    shapiro_wilk,
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


def test_undefined_values_are_left_out():
    values = np.append(GROUPS["tail"], np.nan)
    assert shapiro_wilk(values) == shapiro_wilk(GROUPS["tail"])
    assert kruskal_wallis({**GROUPS, "tail": values, "head": [np.nan]}) == kruskal_wallis(GROUPS)


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
    ],
)
def test_what_cannot_be_tested_is_undefined_and_says_why(result, reason):
    assert np.isnan([result.statistic, result.p_value]).all()
    assert result.reason == reason


def test_results_are_plain_numbers():
    for result in (shapiro_wilk(GROUPS["tail"]), kruskal_wallis(GROUPS)):
        assert [type(value) for value in result] == [float, float, int, str]
        assert not result.reason


def test_refuses_values_that_are_not_one_per_case():
    with pytest.raises(ValueError, match="values must have 1 axes"):
        shapiro_wilk(np.zeros((3, 3)))
