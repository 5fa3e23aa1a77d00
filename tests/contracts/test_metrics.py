"""What every metric promises: plain floats, known extremes, nan where undefined."""

import numpy as np
import pytest

from core.metrics import calibration, net_benefit, weighted
from core.metrics.classification import (
    accuracy,
    auc,
    balanced_accuracy,
    precision,
    sensitivity,
    specificity,
)
from core.metrics.compare import mcnemar, wilcoxon_signed_rank
from core.metrics.delong import delong, delong_test, delong_test_unpaired
from core.metrics.overlap import confusion_counts, dice, iou
from core.metrics.permutation import permutation_test
from core.metrics.precision_recall import average_precision
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
    "balanced_accuracy": balanced_accuracy,
}
WEIGHTED = ("sensitivity", "specificity", "accuracy", "balanced_accuracy", "auc")
COMPARISONS = {
    "delong": delong_test,
    "delong_unpaired": lambda a, b, truth: delong_test_unpaired(a, truth, b, truth),
    "permutation": lambda a, b, truth: permutation_test(weighted.auc, a, b, truth, seed=0),
    "mcnemar": lambda a, b, truth: mcnemar((a > 0) == truth, (b > 0) == truth),
    "wilcoxon": lambda a, b, truth: wilcoxon_signed_rank(a, b),
}
"""Two-sided tests of the scores of two systems."""
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


def test_precision_brier_score_and_benefit_of_perfect_opposite_and_constant_probabilities():
    truth = np.array([True, True, False])
    perfect = truth.astype(float)
    for probs, precision_, brier, benefit in (
        (perfect, 1, 0, 2 / 3),
        # The one called positive is not; of all three called, two are, and each gets 2/3.
        (1 - perfect, 2 / 3, 1, -1 / 3),
        (0 * perfect + 0.5, 2 / 3, 1 / 4, 1 / 3),
    ):
        assert average_precision(probs, truth) == pytest.approx(precision_)
        assert calibration.brier_score(probs, truth) == brier
        half = net_benefit.net_benefit(probs, truth, np.array([0.5]))
        assert half == pytest.approx([benefit])


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_of_one_are_the_cohort_itself_whatever_the_order_of_cases(name):
    rng = np.random.default_rng(0)
    truth, scores = rng.random(40) < 0.4, np.round(rng.normal(size=40), 1)
    alone = auc(scores, truth)
    if name != "auc":
        scores = scores > 0
        alone = RATES[name](confusion_counts(scores, truth))
    order = rng.permutation(40)
    for cases in (np.arange(40), order):
        ours = getattr(weighted, name)(scores[cases], truth[cases], np.ones((2, 40)))
        assert ours == pytest.approx([alone, alone], rel=1e-12)


def test_areas_of_several_systems_are_those_of_each():
    rng = np.random.default_rng(0)
    truth, scores = rng.random(40) < 0.4, np.round(rng.normal(size=(3, 40)), 1)
    areas, covariance = delong(scores, truth)
    assert areas == pytest.approx([auc(row, truth) for row in scores], rel=1e-12)
    assert covariance == pytest.approx(covariance.T, rel=1e-12)


@pytest.mark.parametrize("test", COMPARISONS.values(), ids=COMPARISONS.keys())
def test_a_comparison_ignores_the_order_of_systems_and_of_cases(test):
    rng = np.random.default_rng(0)
    truth, (first, second) = rng.random(12) < 0.5, rng.normal(size=(2, 12))
    result, order = test(first, second, truth), rng.permutation(12)
    assert 0 < result.p_value <= 1
    assert test(second, first, truth).p_value == pytest.approx(result.p_value, rel=1e-12)
    shuffled = test(first[order], second[order], truth[order])
    assert shuffled.p_value == pytest.approx(result.p_value, rel=1e-12)
    assert [type(value) for value in result] == [float, float, int, str]


@pytest.mark.parametrize("test", COMPARISONS.values(), ids=COMPARISONS.keys())
def test_a_system_does_not_differ_from_itself(test):
    truth = np.array([True, True, True, False, False])
    scores = np.array([1.0, 2.0, -1.0, -2.0, 1.5])
    result = test(scores, scores, truth)
    if np.isnan(result.p_value):
        assert result.reason
    else:
        assert (result.statistic, result.p_value) == (0, 1)
