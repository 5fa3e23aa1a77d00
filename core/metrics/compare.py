"""Tests whether two systems do equally well on the same cases, and p values for several of them.

Beside these, `core.metrics.delong` compares areas under ROC curves and `core.metrics.permutation`
swaps the answers of two systems. A test that cannot be made says why.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from core import check
from core.metrics.hypothesis import HypothesisTest, defined_values, untested
from core.metrics.resampling import bootstrap_weights
from core.metrics.weighted import Statistic

FEW_DISCORDANT = 25
"""Below it McNemar's test is exact; from it on χ² is close (Ref: usual in texts, and SPSS)."""


def wilcoxon_signed_rank(first: ArrayLike, second: ArrayLike) -> HypothesisTest:
    """Whether two methods do equally well on the same cases; cases without either are left out.

    Equal values say nothing of a direction and are dropped, as Wilcoxon did. p is exact for up to
    50 differences without ties, else from the normal approximation.

    Args:
      first: (n,) values of one method by case.
      second: (n,) of the other, in the same order.

    Raises:
      ValueError: values are not one per case, or not of the same cases.

    Source: Wilcoxon 1945, Biometrics Bulletin 1.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    check.same_shape(first=first, second=second)
    difference = defined_values(first - second)
    difference = difference[difference != 0]
    if not difference.size:
        return untested(0, "no case differs")
    distinct = np.unique(np.abs(difference)).size == difference.size
    method = "exact" if distinct and difference.size <= 50 else "approx"
    statistic, p_value = stats.wilcoxon(difference, method=method)
    return HypothesisTest(float(statistic), float(p_value), difference.size)  # type: ignore[arg-type]


def median_bootstrap_wilcoxon(
    first: ArrayLike, second: ArrayLike, *, seed: int, num_resamples: int = 1000
) -> float:
    """Median p of Wilcoxon's test over bootstraps of the cases; nan where no one has a p.

    One reading of "1,000 iterations of Wilcoxon signed rank test": it is near the p of the cases
    themselves, and no p value of its own.

    Args:
      first: (n,) values of one method by case.
      second: (n,) of the other, in the same order.
      seed: of the resampling.
      num_resamples: cohorts drawn with replacement.

    Raises:
      ValueError: values are not one per case, or not of the same cases.

    Source: Zheng et al. 2022, Sec. IV-D.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    check.same_shape(first=first, second=second)
    draws = np.random.default_rng(seed).integers(first.size, size=(num_resamples, first.size))
    p_values = [wilcoxon_signed_rank(first[cases], second[cases]).p_value for cases in draws]
    defined = defined_values(p_values)
    return float(np.median(defined)) if defined.size else float("nan")


def bootstrap_wilcoxon(
    statistic: Statistic,
    first: NDArray,
    second: NDArray,
    is_positive: NDArray[np.bool_],
    *,
    seed: int,
    groups: Sequence[Any] | NDArray | None = None,
    num_resamples: int = 1000,
) -> HypothesisTest:
    """Wilcoxon's test between two systems' bootstrap distributions of a statistic, as in the paper.

    Both systems are measured on the same resampled cohorts. The p value shrinks with the number of
    resamples, whatever the number of patients, so it tests no hypothesis about patients: it is here
    to stand beside the paper's. `core.metrics.permutation` has a test that is valid for patients.

    Args:
      statistic: of `core.metrics.weighted`; the paper's is `balanced_accuracy`.
      first: (n,) decisions or scores of one system.
      second: (n,) of the other.
      is_positive: (n,) truth.
      seed: of the resampling, within each class.
      groups: (n,) the group, such as the patient, of each case; None where every case stands alone.
      num_resamples: cohorts drawn.

    Raises:
      ValueError: shapes differ, or groups are not one per case.

    Source: Zheng et al. 2022, Sec. IV-E.
    """
    check.same_shape(first=first, second=second, is_positive=is_positive)
    weights = bootstrap_weights(is_positive, seed=seed, groups=groups, num_resamples=num_resamples)
    distributions = [statistic(values, is_positive, weights) for values in (first, second)]
    if np.isnan(distributions).any():
        return untested(0, "a class has no case")
    # Quotients of counts: differences that tie, or are none, may differ by a rounding.
    differences = np.round(distributions[0] - distributions[1], 12)
    return wilcoxon_signed_rank(differences, np.zeros(num_resamples))


def mcnemar(
    first_is_right: NDArray[np.bool_], second_is_right: NDArray[np.bool_]
) -> HypothesisTest:
    """Whether two systems have the same accuracy on the same cases, from those where one is right.

    With b cases that only the first has right and c that only the second has: below 25 of both p
    is binomial, min(1, 2 P(X ≤ min(b, c))) with X ~ B(b + c, 1/2), and the statistic min(b, c);
    else χ² = (|b − c| − 1)² / (b + c) with one degree of freedom, Edwards' correction. Both keep
    their level; the mid-p of Fagerland et al. 2013 has more power and may exceed it slightly.

    Args:
      first_is_right: (n,) whether one system answered as the truth is.
      second_is_right: (n,) of the other.

    Returns:
      `num` is b + c; undefined where that is 0.

    Raises:
      ValueError: shapes differ.

    Source: McNemar 1947, Psychometrika 12; Edwards 1948.
    """
    check.same_shape(first_is_right=first_is_right, second_is_right=second_is_right)
    only_first = int(np.count_nonzero(first_is_right & ~second_is_right))
    only_second = int(np.count_nonzero(second_is_right & ~first_is_right))
    num = only_first + only_second
    if not num:
        return untested(0, "no case differs")
    if num < FEW_DISCORDANT:
        fewer = min(only_first, only_second)
        return HypothesisTest(float(fewer), float(stats.binomtest(fewer, num).pvalue), num)
    # |b − c| − 1 is below zero where b = c.
    chi2 = max(abs(only_first - only_second) - 1, 0) ** 2 / num
    return HypothesisTest(chi2, float(stats.chi2.sf(chi2, 1)), num)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values raised for having tested several hypotheses; undefined (nan) ones stay and are free.

    p_(i) becomes max_{j ≤ i} min(1, (m − j + 1) p_(j)), by rising p

    Source: Holm 1979, Scand J Stat 6.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]  # nan sorts last
    factors = np.arange(order.size, 0, -1)
    adjusted = values.copy()
    adjusted[order] = np.maximum.accumulate(np.minimum(1, factors * values[order]))
    return adjusted.tolist()
