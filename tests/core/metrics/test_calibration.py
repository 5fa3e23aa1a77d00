"""Calibration curve, Brier score and its parts against scikit-learn and by formula."""

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve as sk_curve
from sklearn.isotonic import IsotonicRegression

from core.metrics.calibration import (
    brier_parts,
    brier_score,
    calibration_curve,
    equal_count_edges,
    equal_width_edges,
)


def _cohort(num=200, seed=0):
    rng = np.random.default_rng(seed)
    probs = np.round(rng.random(num), 2)  # with ties
    return probs, rng.random(num) < probs**2


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("num_bins", [1, 5, 10])
def test_curve_is_that_of_scikit_learn(strategy, num_bins):
    probs, is_positive = _cohort()
    edges = equal_width_edges(num_bins)
    if strategy == "quantile":
        edges = equal_count_edges(probs, num_bins)
    share, mean = sk_curve(is_positive, probs, n_bins=num_bins, strategy=strategy)
    ours = calibration_curve(probs, is_positive, edges)
    np.testing.assert_allclose([b.mean_prob for b in ours], mean, rtol=1e-12)
    np.testing.assert_allclose([b.share_positive for b in ours], share, rtol=1e-12)
    assert sum(b.num for b in ours) == probs.size


def test_bins_without_cases_are_left_out():
    probs, truth = np.array([0.1, 0.15, 0.9]), np.array([False, True, True])
    bins = calibration_curve(probs, truth, equal_width_edges(5))
    assert bins == [(pytest.approx(0.125), 0.5, 2), (0.9, 1, 1)]
    assert calibration_curve(probs[:0], truth[:0], equal_width_edges(5)) == []


def test_equal_counts_are_as_equal_as_ties_allow():
    probs, is_positive = _cohort(100)
    distinct = (np.argsort(np.argsort(probs)) + 0.5) / 100
    bins = calibration_curve(distinct, is_positive, equal_count_edges(distinct, 4))
    assert [b.num for b in bins] == [25] * 4


def test_brier_score_is_that_of_scikit_learn():
    probs, is_positive = _cohort()
    expected = sk.brier_score_loss(is_positive, probs)
    assert brier_score(probs, is_positive) == pytest.approx(expected, rel=1e-12)


def test_parts_of_the_brier_score_add_up_and_are_those_of_an_isotonic_fit():
    probs, is_positive = _cohort()
    fitted = IsotonicRegression(y_min=0, y_max=1).fit_transform(probs, is_positive)
    recalibrated = brier_score(np.clip(fitted, 0, 1), is_positive)
    parts = brier_parts(probs, is_positive)
    score, share = brier_score(probs, is_positive), is_positive.mean()
    total = parts.miscalibration - parts.discrimination + parts.uncertainty
    assert total == pytest.approx(score, rel=1e-12)
    assert parts.miscalibration == pytest.approx(score - recalibrated, rel=1e-9)
    assert parts.uncertainty == pytest.approx(share * (1 - share), rel=1e-12)
    assert min(parts) > 0


def test_parts_of_perfect_of_opposite_and_of_constant_probabilities():
    truth = np.array([True, True, False])
    perfect, share = truth.astype(float), 2 / 3
    open_ = share * (1 - share)
    assert brier_parts(perfect, truth) == pytest.approx((0, open_, open_))
    assert brier_parts(1 - perfect, truth) == pytest.approx((1 - open_, 0, open_))
    assert brier_parts(np.full(3, 0.5), truth) == pytest.approx(((0.5 - share) ** 2, 0, open_))


def test_without_cases_nothing_is_defined():
    none, nobody = np.zeros(0), np.zeros(0, bool)
    assert np.isnan([brier_score(none, nobody), *brier_parts(none, nobody)]).all()


def test_refuses_what_is_no_probability_and_no_bin():
    for function in (brier_score, brier_parts):
        with pytest.raises(ValueError, match=r"probs must lie in \[0, 1\]; got 1.5 at case 1"):
            function(np.array([0.5, 1.5]), np.array([True, False]))
    for edges in (lambda: equal_width_edges(0), lambda: equal_count_edges(np.zeros(2), 0)):
        with pytest.raises(ValueError, match="num_bins must be positive; got 0"):
            edges()
