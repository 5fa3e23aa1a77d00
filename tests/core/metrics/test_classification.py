"""Rates, ROC curve and its area against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sk

from core.metrics import classification as c
from core.metrics.overlap import Counts, confusion_counts


def _cohort(num=60, seed=0):
    rng = np.random.default_rng(seed)
    is_positive = rng.random(num) < 0.4
    # Rounded, so that scores tie within and across classes.
    return np.round(rng.normal(size=num) + is_positive, 1), is_positive


def test_rates_of_the_papers_multi_scale_row():
    # Table 1: 8 of 136 tumors missed, 3 of 200 normal cases called.
    counts = Counts(true_positive=128, false_positive=3, false_negative=8, true_negative=197)
    assert c.sensitivity(counts) == 128 / 136
    assert c.specificity(counts) == 197 / 200
    assert c.accuracy(counts) == (128 + 197) / (136 + 200)


def test_f1_is_the_harmonic_mean_of_precision_and_sensitivity():
    # Si et al. 2021: 35 of 265 tumors missed, 25 of 82 normal cases called; F1 of 88.5 %.
    counts = Counts(true_positive=230, false_positive=25, false_negative=35, true_negative=57)
    precision, recall = c.precision(counts), c.sensitivity(counts)
    expected = 2 * precision * recall / (precision + recall)
    assert c.f1(counts) == pytest.approx(expected, rel=1e-12)
    assert round(c.f1(counts), 3) == 0.885
    assert c.f1(Counts(0, 1, 2, 3)) == 0


@pytest.mark.parametrize(
    "rate", [c.sensitivity, c.specificity, c.accuracy, c.balanced_accuracy, c.f1]
)
def test_rates_without_cases_are_undefined(rate):
    assert np.isnan(rate(Counts(0, 0, 0, 0)))


def test_auc_is_that_of_scikit_learn_with_ties():
    scores, is_positive = _cohort()
    expected = sk.roc_auc_score(is_positive, scores)
    # Ranks against trapezoids, both float64.
    assert c.auc(scores, is_positive) == pytest.approx(expected, rel=1e-12)


def test_auc_counts_pairs_with_ties_half():
    scores, is_positive = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, True, False, True])
    assert c.auc(scores, is_positive) == (1 + 1 / 2 + 1 + 1) / 4


@pytest.mark.parametrize("is_positive", [np.zeros(3, bool), np.ones(3, bool), np.zeros(0, bool)])
def test_auc_of_one_class_is_undefined(is_positive):
    assert np.isnan(c.auc(np.zeros(len(is_positive)), is_positive))


def test_auc_does_not_change_under_a_monotone_map():
    scores, is_positive = _cohort()
    assert c.auc(np.exp(scores), is_positive) == c.auc(scores, is_positive)


def test_roc_curve_is_that_of_scikit_learn():
    scores, is_positive = _cohort()
    fpr, tpr, thresholds = sk.roc_curve(is_positive, scores, drop_intermediate=False)
    ours = np.array(c.roc_curve(scores, is_positive))
    expected = np.stack([thresholds, tpr, 1 - fpr], axis=1)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)  # float64 quotients


def test_points_of_the_roc_curve_are_decisions_at_their_threshold():
    scores, is_positive = _cohort()
    for point in c.roc_curve(scores, is_positive):
        called = scores >= point.threshold
        assert point.sensitivity == called[is_positive].mean()
        # 1 − FP / n against TN / n.
        assert point.specificity == pytest.approx((~called[~is_positive]).mean(), abs=1e-15)


def test_point_at_a_sensitivity_is_the_most_specific_that_reaches_it():
    roc = c.roc_curve(*_cohort())
    point = c.at_sensitivity(roc, 0.8)
    assert point.specificity == max(p.specificity for p in roc if p.sensitivity >= 0.8)


def test_point_at_a_specificity_is_the_most_sensitive_that_reaches_it():
    roc = c.roc_curve(*_cohort())
    point = c.at_specificity(roc, 0.8)
    assert point.sensitivity == max(p.sensitivity for p in roc if p.specificity >= 0.8)


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_every_target_is_reached_somewhere(target):
    roc = c.roc_curve(*_cohort())
    assert c.at_sensitivity(roc, target).sensitivity >= target
    assert c.at_specificity(roc, target).specificity >= target


def test_refuses_a_target_that_is_no_fraction():
    with pytest.raises(ValueError, match=r"target must lie in \[0, 1\]; got 95"):
        c.at_sensitivity(c.roc_curve(*_cohort()), 95)


def test_refuses_a_roc_curve_of_one_class():
    with pytest.raises(ValueError, match="positive and negative cases; got 3 and 0"):
        c.roc_curve(np.arange(3.0), np.ones(3, bool))


def test_refuses_an_undefined_score_and_names_the_case():
    with pytest.raises(ValueError, match="scores must be finite; got nan at case 1"):
        c.auc(np.array([0.5, np.nan]), np.array([True, False]))


def test_refuses_a_truth_that_is_not_boolean():
    with pytest.raises(ValueError, match="is_positive must be boolean; got int64"):
        c.auc(np.zeros(2), np.array([0, 1], np.int64))


def test_refuses_scores_of_another_length():
    with pytest.raises(ValueError, match="equal shapes"):
        c.auc(np.zeros(3), np.ones(2, bool))


def test_balanced_accuracy_is_that_of_scikit_learn():
    scores, is_positive = _cohort()
    ours = c.balanced_accuracy(confusion_counts(scores > 0.3, is_positive))
    expected = sk.balanced_accuracy_score(is_positive, scores > 0.3)
    assert ours == pytest.approx(expected, rel=1e-12)
    assert np.isnan(c.balanced_accuracy(Counts(3, 0, 1, 0)))


def test_no_threshold_is_better_than_the_best():
    scores, is_positive = _cohort()
    best = c.best_threshold(scores, is_positive)
    balanced = {t: sk.balanced_accuracy_score(is_positive, scores >= t) for t in np.unique(scores)}
    assert balanced[best] == max(balanced.values())


def test_of_equally_good_thresholds_the_highest_is_taken():
    truth = np.array([False, True, False, True, False, False])
    # From 4 on: 1/2 + 4/4; from 2 on: 2/2 + 2/4, as good, and calls more cases.
    assert c.best_threshold(np.array([1.0, 2.0, 3.0, 4.0, 3.0, 0.0]), truth) == 4
    # 1/3 + 3/3 from 2 on and 2/3 + 2/3 from 1 on, which differ by a rounding.
    truth = np.array([True, True, True, False, False, False])
    assert c.best_threshold(np.array([2.0, 1.0, 0.0, 1.0, 0.0, 0.0]), truth) == 2


def test_the_best_threshold_is_a_score_even_where_none_helps():
    truth = np.array([True, True, False])
    assert c.best_threshold(np.array([0.0, 0.0, 5.0]), truth) == 0
    assert c.best_threshold(np.zeros(3), truth) == 0
    with pytest.raises(ValueError, match="needs positive and negative cases; got 2 and 0"):
        c.best_threshold(np.zeros(2), truth[:2])
