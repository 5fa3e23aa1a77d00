"""Decision curves: counts at each threshold, what it is worth to treat all or nobody."""

import numpy as np
import pytest

from core.metrics.net_benefit import net_benefit, net_benefit_of_treating_all

TRUTH = np.array([True, True, False, False, False])
PROBS = np.array([0.8, 0.3, 0.5, 0.1, 0.1])


def test_net_benefit_is_true_less_false_positives_at_their_price():
    thresholds = np.array([0.0, 0.1, 0.2, 0.4, 0.5, 0.6, 0.9])
    counts = [(2, 3), (2, 3), (2, 1), (1, 1), (1, 1), (1, 0), (0, 0)]
    expected = [(tp - fp * t / (1 - t)) / 5 for t, (tp, fp) in zip(thresholds, counts, strict=True)]
    np.testing.assert_allclose(net_benefit(PROBS, TRUTH, thresholds), expected, rtol=1e-12)


def test_to_treat_all_is_worth_the_prevalence_at_0_and_nothing_at_the_prevalence():
    ours = net_benefit_of_treating_all(TRUTH, np.array([0.0, 0.4, 0.5]))
    np.testing.assert_allclose(ours, [0.4, 0, 0.4 - 0.6], atol=1e-12)


def test_who_knows_the_truth_gains_the_prevalence_and_who_treats_nobody_nothing():
    thresholds = np.linspace(0.01, 0.99, 9)
    np.testing.assert_allclose(net_benefit(TRUTH.astype(float), TRUTH, thresholds), 0.4)
    assert (net_benefit(np.zeros(5), TRUTH, thresholds) == 0).all()


def test_without_cases_it_is_undefined():
    assert np.isnan(net_benefit(np.zeros(0), np.zeros(0, bool), np.array([0.5]))).all()


def test_refuses_a_threshold_that_no_odds_belong_to():
    with pytest.raises(ValueError, match=r"thresholds must lie in \[0, 1\)"):
        net_benefit(PROBS, TRUTH, np.array([1.0]))
