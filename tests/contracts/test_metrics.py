"""What every metric promises: plain floats, known extremes, nan where undefined."""

import numpy as np
import pytest

from core.metrics.classification import accuracy, auc, precision, sensitivity, specificity
from core.metrics.overlap import confusion_counts, dice, iou
from core.metrics.surface import surface_dice, surface_distances

OVERLAP = {
    "dice": dice,
    "iou": iou,
    "surface_dice": lambda pred, true: surface_dice(surface_distances(pred, true), tolerance=1.0),
}
RATES = {
    "sensitivity": sensitivity,
    "specificity": specificity,
    "precision": precision,
    "accuracy": accuracy,
}
SHAPE = (3, 4, 5)


def _mask(*voxels):
    mask = np.zeros(SHAPE, bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


EMPTY, FULL, ONE, OTHER = _mask(), ~_mask(), _mask((1, 2, 3)), _mask((0, 0, 0))


@pytest.fixture(params=OVERLAP.values(), ids=OVERLAP.keys())
def overlap(request):
    return request.param


@pytest.mark.parametrize("mask", [FULL, ONE], ids=["full", "one_voxel"])
def test_a_mask_agrees_wholly_with_itself(overlap, mask):
    assert overlap(mask, mask) == 1


@pytest.mark.parametrize(
    ("pred", "true"),
    [(EMPTY, ONE), (ONE, EMPTY), (EMPTY, FULL), (ONE, OTHER)],
    ids=["missed", "false_alarm", "missed_all", "beside"],
)
def test_masks_without_common_voxels_score_zero(overlap, pred, true):
    assert overlap(pred, true) == 0


def test_two_empty_masks_are_undefined(overlap):
    assert np.isnan(overlap(EMPTY, EMPTY))


def test_overlap_is_a_plain_float_that_ignores_mirroring(overlap):
    rng = np.random.default_rng(0)
    pred, true = rng.random(SHAPE) < 0.5, rng.random(SHAPE) < 0.5
    assert type(overlap(pred, true)) is float
    assert overlap(np.flip(pred), np.flip(true)) == overlap(pred, true)


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES.keys())
def test_rates_of_perfect_and_of_opposite_calls(rate):
    truth = np.array([True, True, False])
    assert rate(confusion_counts(truth, truth)) == 1
    assert rate(confusion_counts(~truth, truth)) == 0


def test_area_of_perfect_opposite_and_constant_scores():
    truth = np.array([True, True, False])
    score = truth.astype(float)
    assert [auc(score, truth), auc(-score, truth), auc(0 * score, truth)] == [1, 0, 1 / 2]
