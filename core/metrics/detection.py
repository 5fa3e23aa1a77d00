"""How well instances are found: per patient first, then means over patients.

Rates are of each patient, never of all counts together (Table V of Zheng et al. cannot come from
those). Without truth recall and F are undefined, nan, and precision is 0 where something is
predicted; without a prediction precision is nan. Voxel Dice is 0 where exactly one mask is empty.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core import check
from core.metrics import surface
from core.metrics.classification import precision, sensitivity
from core.metrics.instances import instances, match, overlaps
from core.metrics.overlap import confusion_counts, dice, ratio

RATES = (
    "dice",
    "recall",
    "precision",
    "instance_f",
    "instance_recall",
    "instance_precision",
)
"""Columns of `patient_row` whose means over patients are reported, with `core.metrics.rows`."""


class Candidates(NamedTuple):
    """Predicted instances of a patient, to be kept or not by their scores.

    Args:
      iou: (n, m) with the true ones, of `overlaps`.
      scores: (n,) of `instances.scores`.
    """

    iou: NDArray[np.float64]
    scores: NDArray[np.float64]


class Point(NamedTuple):
    """Means over patients where instances with `score >= threshold` are kept."""

    threshold: float
    precision: float
    recall: float


def patient_row(
    pred_mask: NDArray[np.bool_], true_mask: NDArray[np.bool_], *, min_iou: float, min_voxels: int
) -> dict[str, float]:
    """Rates of one patient over voxels and over instances.

    P = found / predicted, R = found / true, F = 2 found / (predicted + true) = 2 P R / (P + R)

    Args:
      pred_mask: (d, h, w).
      true_mask: same shape.
      min_iou: from which a true instance is found.
      min_voxels: of a predicted component that counts as an instance; voxel rates count them all.

    Returns:
      `RATES`, and `num_pred`, `num_true` and `num_found` instances.

    Raises:
      ValueError: the shapes differ, an array is not boolean (d, h, w), or a `min_iou` outside
        (0, 1].

    Source: Zheng et al., Sec. IV-D, with 0.30.
    """
    counts = confusion_counts(pred_mask, true_mask)
    pred_ids, true_ids = (
        instances(pred_mask, min_voxels=min_voxels),
        instances(true_mask, min_voxels=1),
    )
    iou = overlaps(pred_ids, true_ids).iou
    return {
        "dice": dice(pred_mask, true_mask),
        "recall": sensitivity(counts),
        "precision": precision(counts),
        **instance_rates(iou, min_iou=min_iou),
    }


def instance_rates(iou: NDArray[np.float64], *, min_iou: float) -> dict[str, float]:
    """F, recall and precision of one patient's instances, and their numbers.

    Args:
      iou: (n, m) of `overlaps`.
      min_iou: from which a true instance is found.
    """
    num_pred, num_true = iou.shape
    num_found = int(np.count_nonzero(match(iou, min_iou=min_iou) >= 0))
    return {
        "instance_f": ratio(2 * num_found, num_pred + num_true) if num_true else float("nan"),
        "instance_recall": ratio(num_found, num_true),
        "instance_precision": ratio(num_found, num_pred),
        "num_pred": num_pred,
        "num_true": num_true,
        "num_found": num_found,
    }


def surface_row(
    pred_mask: NDArray[np.bool_], true_mask: NDArray[np.bool_], spacing_mm: Sequence[float]
) -> dict[str, float]:
    """Average and Hausdorff distance between the surfaces of two masks, in mm.

    The average is the mean of both directions' means. Of empty masks see `core.metrics.surface`.

    Args:
      pred_mask: (d, h, w).
      true_mask: same shape.
      spacing_mm: of the voxels by axis.
    """
    distances = surface.surface_distances(pred_mask, true_mask, spacing=spacing_mm)
    return {
        "asd_mm": surface.mean_absolute_distance(distances),
        "hd_mm": surface.hausdorff(distances),
    }


def precision_recall_curve(patients: Sequence[Candidates], *, min_iou: float) -> list[Point]:
    """Mean precision and recall of instances at every threshold of their score.

    What a threshold leaves is matched anew. A patient without any instance left has no precision,
    and counts in recall alone; one without truth the other way round.

    Args:
      patients: predicted instances of each.
      min_iou: from which a true instance is found.

    Returns:
      A point for each score that occurs, by falling threshold.
    """
    thresholds = np.unique([s for patient in patients for s in patient.scores])[::-1]
    rates = np.array([_rates_at(patient, thresholds, min_iou) for patient in patients])
    return [
        Point(float(threshold), _mean(rates[:, i, 0]), _mean(rates[:, i, 1]))
        for i, threshold in enumerate(thresholds)
    ]


def precision_at_recall(curve: Sequence[Point], recall: float) -> float:
    """Highest precision among thresholds that reach a recall; nan where none does.

    Args:
      curve: of `precision_recall_curve`.
      recall: in [0, 1].

    Raises:
      ValueError: a recall outside [0, 1].
    """
    check.fraction("recall", recall)
    reached = [point.precision for point in curve if point.recall >= recall]
    return max((value for value in reached if not np.isnan(value)), default=float("nan"))


def _rates_at(
    patient: Candidates, thresholds: NDArray[np.float64], min_iou: float
) -> NDArray[np.float64]:
    """(thresholds, 2) precision and recall; computed where the patient's own scores change."""
    own = np.unique(patient.scores)[::-1]
    kept = [np.zeros(patient.scores.size, bool), *(patient.scores >= t for t in own)]
    steps = [instance_rates(patient.iou[keep], min_iou=min_iou) for keep in kept]
    rates = np.array([(step["instance_precision"], step["instance_recall"]) for step in steps])
    return rates[np.searchsorted(-own, -thresholds, side="right")]


def _mean(values: NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
