"""Confidence intervals over cases."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from core import check
from core.metrics.delong import delong
from core.metrics.overlap import Counts
from core.metrics.resampling import bootstrap_weights, smallest_stratum
from core.metrics.weighted import Statistic


class Interval(NamedTuple):
    """Bounds of a confidence interval; nan where it cannot be estimated."""

    low: float
    high: float


UNDEFINED = Interval(float("nan"), float("nan"))


def wilson_interval(num_successes: int, num: int, *, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion; keeps its coverage for few cases and near 0 and 1.

    Args:
      num_successes: cases that count, k in p = k / n.
      num: all cases, n; without any the interval is nan.
      confidence: coverage.

    Raises:
      ValueError: fewer cases than successes, or a confidence outside [0, 1].

    Source: Wilson 1927, JASA 22.
    """
    check.fraction("confidence", confidence)
    if not 0 <= num_successes <= num:
        raise ValueError(f"num_successes must lie in [0, num]; got {num_successes} of {num}")
    if num == 0:
        return UNDEFINED
    bounds = binomtest(num_successes, num).proportion_ci(confidence, method="wilson")
    # Rounding may put a bound a hair on the wrong side of p = 0 or 1.
    p = num_successes / num
    return Interval(min(p, float(bounds.low)), max(p, float(bounds.high)))


def f1_interval(counts: Counts, *, confidence: float = 0.95) -> Interval:
    """Wilson interval of an F1 score, which is 2 p / (1 + p) of a proportion p.

    p = TP / (TP + FP + FN): of the cases that are positive or called so, those that are both. F1
    grows with p, so it takes the bounds of p to its own.

    Args:
      counts: over independent cases; nan where none is positive or called so.
      confidence: coverage.
    """
    num = counts.true_positive + counts.false_positive + counts.false_negative
    bounds = wilson_interval(counts.true_positive, num, confidence=confidence)
    return Interval(*(2 * p / (1 + p) for p in bounds))


def bootstrap_interval(
    values: NDArray,
    *,
    seed: int,
    groups: Sequence[Any] | None = None,
    num_resamples: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of a mean over cases; undefined (nan) values are left out.

    Cases of one patient are not independent: with `groups`, whole groups are drawn, and the mean is
    over all cases of those drawn.

    Args:
      values: (n,) one per case; below two defined values, or groups with one, the interval is nan.
      seed: of the resampling.
      groups: (n,) the group, such as the patient, of each case; None where every case stands alone.
      num_resamples: cohorts drawn with replacement.
      confidence: coverage.

    Raises:
      ValueError: values or groups are not one per case, or a confidence outside [0, 1].

    Source: Efron 1979; 1,000 resamples as in Zheng et al. 2022. Groups: Field & Welsh 2007, JRSS B
    69, the cluster bootstrap.
    """
    check.rank("values", values, 1)
    check.fraction("confidence", confidence)
    is_defined = ~np.isnan(values)
    sums, counts = values[is_defined], np.ones(np.count_nonzero(is_defined))
    if groups is not None:
        if len(groups) != len(values):
            raise ValueError(f"groups must be one per case; got {len(groups)} for {len(values)}")
        _, member = np.unique(np.asarray(groups)[is_defined], return_inverse=True)
        sums, counts = np.bincount(member, sums), np.bincount(member)
    if sums.size < 2:
        return UNDEFINED
    draws = np.random.default_rng(seed).integers(sums.size, size=(num_resamples, sums.size))
    tail = (1 - confidence) / 2
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def stratified_interval(
    statistic: Statistic,
    values: NDArray,
    is_positive: NDArray[np.bool_],
    *,
    seed: int,
    groups: Sequence[Any] | NDArray | None = None,
    num_resamples: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of a diagnostic statistic, patients drawn within each class.

    Args:
      statistic: of `core.metrics.weighted`, such as `auc` or `balanced_accuracy`.
      values: (n,) scores or decisions.
      is_positive: (n,) truth.
      seed: of the resampling; the same one draws the same cohorts for every statistic.
      groups: (n,) the group, such as the patient, of each case; None where every case stands alone.
      num_resamples: cohorts drawn.
      confidence: coverage.

    Returns:
      Bounds; nan where the statistic is undefined or a class has a single patient. A statistic that
      is 1 in the cohort, as of perfect separation, is 1 in every resample: such bounds say nothing.

    Raises:
      ValueError: values or groups are not one per case, or a confidence outside [0, 1].

    Source: Zheng et al. 2022, Sec. IV-E: percentiles of 1,000 bootstraps. Strata: Carpenter &
    Bithell 2000, Stat. Med. 19.
    """
    check.same_shape(values=values, is_positive=is_positive)
    check.fraction("confidence", confidence)
    if smallest_stratum(is_positive, groups) < 2:
        return UNDEFINED
    weights = bootstrap_weights(is_positive, seed=seed, groups=groups, num_resamples=num_resamples)
    resampled = statistic(values, is_positive, weights)  # nan has nan percentiles
    tail = (1 - confidence) / 2
    return Interval(*map(float, np.quantile(resampled, [tail, 1 - tail])))


def delong_interval(
    scores: NDArray, is_positive: NDArray[np.bool_], *, confidence: float = 0.95
) -> Interval:
    """DeLong interval of the area under the ROC curve, by midranks in O(k log k).

    AUC ± z √(var(V10) / m + var(V01) / n), cut to [0, 1]

    Args:
      scores: (k,) higher means more likely positive.
      is_positive: (k,) truth.
      confidence: coverage.

    Returns:
      Bounds; nan with fewer than two cases in a class, and where the estimated variance is zero,
      as it is for perfect separation: a bound of 1 would then claim a certainty nobody has.

    Raises:
      ValueError: shapes differ, a score is not finite, or a confidence outside [0, 1].

    Source: DeLong et al. 1988; Sun & Xu 2014, Algorithm 2.
    """
    check.fraction("confidence", confidence)
    check.rank("scores", scores, 1)
    areas, covariance = delong(scores[None], is_positive)
    area, variance = float(areas[0]), float(covariance[0, 0])
    if not variance > 0:
        return UNDEFINED
    reach = float(norm.ppf((1 + confidence) / 2) * np.sqrt(variance))
    return Interval(max(0.0, area - reach), min(1.0, area + reach))
