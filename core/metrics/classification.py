"""Sensitivity, specificity, ROC curves and AUC of decisions and scores.

Rates are computed from counts of cases or of pixels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from core import check
from core.metrics.overlap import Counts, ratio


def sensitivity(counts: Counts) -> float:
    """Share of positive cases called positive, TP / (TP + FN); nan without positive cases."""
    return ratio(counts.true_positive, counts.true_positive + counts.false_negative)


def specificity(counts: Counts) -> float:
    """Share of negative cases called negative, TN / (TN + FP); nan without negative cases."""
    return ratio(counts.true_negative, counts.true_negative + counts.false_positive)


def precision(counts: Counts) -> float:
    """Share of cases called positive that are, TP / (TP + FP); nan where none is called so."""
    return ratio(counts.true_positive, counts.true_positive + counts.false_positive)


def accuracy(counts: Counts) -> float:
    """Share of cases called correctly, (TP + TN) / all; nan without cases."""
    return ratio(counts.true_positive + counts.true_negative, sum(counts))


def balanced_accuracy(counts: Counts) -> float:
    """Mean of sensitivity and specificity; nan without cases of either class."""
    return (sensitivity(counts) + specificity(counts)) / 2


def f1(counts: Counts) -> float:
    """Harmonic mean of precision and sensitivity, 2 TP / (2 TP + FP + FN), over voxels also Dice.

    0 where only one of "called positive" and "is positive" has cases, nan where none has.
    """
    wrong = counts.false_positive + counts.false_negative
    return ratio(2 * counts.true_positive, 2 * counts.true_positive + wrong)


class OperatingPoint(NamedTuple):
    """Cases with `score >= threshold` are called positive."""

    threshold: float
    sensitivity: float
    specificity: float


def roc_curve(scores: NDArray, is_positive: NDArray[np.bool_]) -> list[OperatingPoint]:
    """Every operating point of a score, from "nobody is positive" to "everybody is".

    Args:
      scores: (n,) higher means more likely positive.
      is_positive: (n,) truth.

    Returns:
      One point per distinct score, by falling threshold, after (inf, 0, 1).

    Raises:
      ValueError: shapes differ, a score is not finite, or there are cases of one class only.
    """
    check_scores(scores, is_positive)
    num_positive = int(np.count_nonzero(is_positive))
    num_negative = is_positive.size - num_positive
    if not (num_positive and num_negative):
        raise ValueError(
            f"a ROC curve needs positive and negative cases; got {num_positive} and {num_negative}"
        )
    order = np.argsort(-scores, kind="stable")
    thresholds, true_positives = scores[order], np.cumsum(is_positive[order])
    # Cases with equal scores turn positive together: keep the last of each run.
    last = np.flatnonzero(np.append(np.diff(thresholds) != 0, True))
    false_positives = last + 1 - true_positives[last]
    points = zip(
        thresholds[last],
        true_positives[last] / num_positive,
        1 - false_positives / num_negative,
        strict=True,
    )
    return [OperatingPoint(np.inf, 0.0, 1.0), *(OperatingPoint(*map(float, p)) for p in points)]


def at_sensitivity(roc: list[OperatingPoint], target: float) -> OperatingPoint:
    """The most specific point that finds at least this fraction of the positive cases."""
    check.fraction("target", target)
    return next(point for point in roc if point.sensitivity >= target)


def at_specificity(roc: list[OperatingPoint], target: float) -> OperatingPoint:
    """The most sensitive point that leaves at least this fraction of the negative cases alone."""
    check.fraction("target", target)
    return next(point for point in reversed(roc) if point.specificity >= target)


def best_threshold(scores: NDArray, is_positive: NDArray[np.bool_]) -> float:
    """Threshold of the best balanced accuracy, where `score >= threshold` is called positive.

    A choice made on validation cases. Of several that are as good it is the highest, which calls
    the fewest cases positive; it is always the score of a case, so one positive case is called.

    Args:
      scores: (n,) higher means more likely positive.
      is_positive: (n,) truth.

    Raises:
      ValueError: shapes differ, a score is not finite, or there are cases of one class only.

    Source: Zheng et al. 2022, Sec. IV-E (volume of the largest positive node).
    """
    points = roc_curve(scores, is_positive)[1:]
    balanced = np.array([point.sensitivity + point.specificity for point in points])
    # Quotients of counts: what is equal may differ by a rounding.
    best = np.flatnonzero(np.isclose(balanced, balanced.max(), rtol=1e-12))[0]
    return points[best].threshold


def auc(scores: NDArray, is_positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how often a positive case outranks a negative one, ties half.

    (Σ_{i positive} rank_i / m − (m + 1) / 2) / n, with m positive and n negative cases

    Args:
      scores: (k,) higher means more likely positive.
      is_positive: (k,) truth.

    Returns:
      A number in [0, 1]; nan where a class has no case.

    Raises:
      ValueError: shapes differ or a score is not finite.
    """
    check_scores(scores, is_positive)
    num_positive = int(np.count_nonzero(is_positive))
    num_negative = is_positive.size - num_positive
    if not (num_positive and num_negative):
        return float("nan")
    rank_sum = rankdata(scores)[is_positive].sum()
    return float((rank_sum / num_positive - (num_positive + 1) / 2) / num_negative)


def check_scores(scores: NDArray, is_positive: NDArray[np.bool_]) -> None:
    """Refuse scores that are not finite and one per case, and a truth that is not boolean."""
    check.rank("scores", scores, 1)
    check.same_shape(scores=scores, is_positive=is_positive)
    if is_positive.dtype != np.bool_:
        raise ValueError(f"is_positive must be boolean; got {is_positive.dtype}")
    if not np.isfinite(scores).all():
        bad = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValueError(f"scores must be finite; got {scores[bad]} at case {bad}")
