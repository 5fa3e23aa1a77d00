"""Precision against sensitivity of a score over cases, and the average precision."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Num

from core.metrics.classification import check_scores, roc_curve


class PrecisionRecall(NamedTuple):
    """Cases with `score >= threshold` are called positive; recall is the sensitivity."""

    threshold: float
    precision: float
    recall: float


def precision_recall_curve(
    scores: Num[np.ndarray, " n"], is_positive: Bool[np.ndarray, " n"]
) -> list[PrecisionRecall]:
    """Every operating point of a score that calls somebody positive.

    Args:
      scores: (n,) higher means more likely positive.
      is_positive: (n,) truth.

    Returns:
      One point per distinct score, by falling threshold, so by rising recall. The last one calls
      everybody: its precision is the prevalence, which a score without knowledge has throughout.

    Raises:
      ValueError: shapes differ, a score is not finite, or there are cases of one class only.
    """
    num_positive = int(np.count_nonzero(is_positive))
    num_negative = is_positive.size - num_positive
    points = []
    for threshold, sensitivity, specificity in roc_curve(scores, is_positive)[1:]:
        right, wrong = sensitivity * num_positive, (1 - specificity) * num_negative
        points.append(PrecisionRecall(threshold, right / (right + wrong), sensitivity))
    return points


def average_precision(scores: Num[np.ndarray, " n"], is_positive: Bool[np.ndarray, " n"]) -> float:
    """Mean of the precision over the positive cases, each at its own score.

    Σ_k (R_k − R_{k−1}) P_k, over points of recall R and precision P by falling threshold; without
    interpolation, which would promise more than any threshold gives.

    Args:
      scores: (n,) higher means more likely positive.
      is_positive: (n,) truth.

    Returns:
      A number in (0, 1], the prevalence for equal scores; nan where a class has no case.

    Raises:
      ValueError: shapes differ or a score is not finite.

    Source: Davis & Goadrich 2006, ICML, on why not to interpolate.
    """
    check_scores(scores, is_positive)
    if is_positive.all() or not is_positive.any():
        return float("nan")
    _, precisions, recalls = np.array(precision_recall_curve(scores, is_positive)).T
    return float(np.sum(np.diff(recalls, prepend=0.0) * precisions))
