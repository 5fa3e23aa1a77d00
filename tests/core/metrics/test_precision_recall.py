"""Precision–recall curve and average precision against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn import metrics as sk

from core.metrics.precision_recall import average_precision, precision_recall_curve


def _cohort(num=60, seed=0):
    rng = np.random.default_rng(seed)
    is_positive = rng.random(num) < 0.4
    return np.round(rng.normal(size=num) + is_positive, 1), is_positive


def test_curve_is_that_of_scikit_learn():
    scores, is_positive = _cohort()
    precision, recall, thresholds = sk.precision_recall_curve(is_positive, scores)
    ours = np.array(precision_recall_curve(scores, is_positive))
    # Scikit-learn goes the other way, and ends with a point (1, 0) that no threshold has.
    expected = np.stack([thresholds, precision[:-1], recall[:-1]], axis=1)[::-1]
    np.testing.assert_allclose(ours, expected, rtol=1e-12)  # float64 quotients


def test_average_precision_is_that_of_scikit_learn_with_ties():
    scores, is_positive = _cohort()
    expected = sk.average_precision_score(is_positive, scores)
    assert average_precision(scores, is_positive) == pytest.approx(expected, rel=1e-12)


def test_average_precision_is_the_mean_over_positive_cases():
    truth = np.array([True, False, True, True, False])
    assert average_precision(-np.arange(5.0), truth) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_the_last_point_calls_everybody_and_has_the_prevalence():
    scores, is_positive = _cohort()
    last = precision_recall_curve(scores, is_positive)[-1]
    assert last == (scores.min(), pytest.approx(is_positive.mean()), 1)
    assert average_precision(0 * scores, is_positive) == pytest.approx(is_positive.mean())


@pytest.mark.parametrize("is_positive", [np.zeros(3, bool), np.ones(3, bool), np.zeros(0, bool)])
def test_one_class_has_no_average_precision_and_no_curve(is_positive):
    scores = np.zeros(is_positive.size)
    assert np.isnan(average_precision(scores, is_positive))
    with pytest.raises(ValueError, match="needs positive and negative cases"):
        precision_recall_curve(scores, is_positive)
