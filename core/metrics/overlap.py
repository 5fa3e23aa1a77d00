"""Overlap of two masks: confusion counts, and coefficients from them.

On the host: volumes differ in shape from case to case, and a device would compile for each.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core import check


class Counts(NamedTuple):
    """Agreement of a prediction with the truth, over voxels or over cases."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


def confusion_counts(pred_mask: NDArray[np.bool_], true_mask: NDArray[np.bool_]) -> Counts:
    """Count the four outcomes of a yes-or-no prediction, over all entries.

    Args:
      pred_mask: prediction, any shape: voxels of one scan, or one entry per case.
      true_mask: truth, same shape.

    Raises:
      ValueError: the shapes differ, or an array is not boolean.
    """
    check.same_shape(pred_mask=pred_mask, true_mask=true_mask)
    for name, mask in (("pred_mask", pred_mask), ("true_mask", true_mask)):
        if mask.dtype != np.bool_:
            raise ValueError(f"{name} must be boolean; got {mask.dtype}: compare labels to an id")
    num_pred, num_true = int(np.count_nonzero(pred_mask)), int(np.count_nonzero(true_mask))
    both = int(np.count_nonzero(pred_mask & true_mask))
    return Counts(
        both, num_pred - both, num_true - both, pred_mask.size - num_pred - num_true + both
    )


def dice(pred_mask: NDArray[np.bool_], true_mask: NDArray[np.bool_]) -> float:
    """Dice–Sørensen coefficient of two masks.

    2 |P ∩ T| / (|P| + |T|)

    Args:
      pred_mask: predicted voxels.
      true_mask: annotated voxels, same shape.

    Returns:
      A number in [0, 1]; 0 where exactly one mask is empty, nan where both are.

    Raises:
      ValueError: the shapes differ, or an array is not boolean.

    Source: Zhu et al. 2019, Sec. 3.1.
    """
    counts = confusion_counts(pred_mask, true_mask)
    wrong = counts.false_positive + counts.false_negative
    return ratio(2 * counts.true_positive, 2 * counts.true_positive + wrong)


def iou(pred_mask: NDArray[np.bool_], true_mask: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks, also called the Jaccard index.

    |P ∩ T| / |P ∪ T|

    Args:
      pred_mask: predicted pixels.
      true_mask: annotated pixels, same shape.

    Returns:
      A number in [0, 1]; 0 where exactly one mask is empty, nan where both are.

    Raises:
      ValueError: the shapes differ, or an array is not boolean.

    Source: Cancers 2022 (EUSDAF), Eq. 3.
    """
    counts = confusion_counts(pred_mask, true_mask)
    union = counts.true_positive + counts.false_positive + counts.false_negative
    return ratio(counts.true_positive, union)


def mean_iou(counts: Counts) -> float:
    """Mean of the intersections over union of the object and of its background.

    (TP / (TP + FP + FN) + TN / (TN + FP + FN)) / 2

    Args:
      counts: voxels of one scan or of many.

    Returns:
      A number in [0, 1]; nan where one of the two is neither predicted nor there.

    Source: Si et al. 2021, Eq. 6 and 7.
    """
    wrong = counts.false_positive + counts.false_negative
    each = (ratio(n, n + wrong) for n in (counts.true_positive, counts.true_negative))
    return sum(each) / 2


def total(counts: Iterable[Counts]) -> Counts:
    """Sums over parts of a whole, such as the slices of a scan; zeros where there is none."""
    return Counts(*np.sum([Counts(0, 0, 0, 0), *counts], axis=0).tolist())


def ratio(numerator: int, denominator: int) -> float:
    """Quotient of two counts; nan, for undefined, where there is nothing to count."""
    return numerator / denominator if denominator else float("nan")
