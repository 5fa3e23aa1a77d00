"""Rates and areas with weights are those of cohorts in which cases occur that often."""

import numpy as np
import pytest

from core.metrics import classification, weighted
from core.metrics.overlap import confusion_counts

RATES = ("sensitivity", "specificity", "accuracy", "balanced_accuracy")


def _cohort(num=30, seed=0):
    rng = np.random.default_rng(seed)
    is_positive = rng.random(num) < 0.4
    scores = np.round(rng.normal(size=num) + is_positive, 1)  # with ties
    return scores, is_positive, rng.integers(4, size=(5, num)).astype(float)


@pytest.mark.parametrize("name", RATES)
def test_weighted_rates_are_those_of_repeated_cases(name):
    scores, is_positive, weights = _cohort()
    called = scores > 0.5
    expected = []
    for counts in weights.astype(int):
        cases = np.repeat(np.arange(called.size), counts)
        expected.append(
            getattr(classification, name)(confusion_counts(called[cases], is_positive[cases]))
        )
    ours = getattr(weighted, name)(called, is_positive, weights)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)  # float64, another order of terms


def test_weighted_area_is_that_of_repeated_cases():
    scores, is_positive, weights = _cohort()
    repeated = (np.repeat(np.arange(scores.size), counts) for counts in weights.astype(int))
    expected = [classification.auc(scores[cases], is_positive[cases]) for cases in repeated]
    # Sums against ranks, float64.
    np.testing.assert_allclose(weighted.auc(scores, is_positive, weights), expected, rtol=1e-12)


def test_fractions_of_cases_count_as_such():
    scores, is_positive, weights = _cohort()
    for statistic, values in ((weighted.auc, scores), (weighted.accuracy, scores > 0)):
        whole = statistic(values, is_positive, weights)
        np.testing.assert_allclose(statistic(values, is_positive, weights / 3), whole, rtol=1e-12)


@pytest.mark.parametrize("name", [*RATES, "auc"])
def test_without_weight_in_a_class_what_rests_on_it_is_undefined(name):
    scores, is_positive, weights = _cohort()
    values = scores if name == "auc" else scores > 0
    undefined = {
        "sensitivity": [True, False, True],
        "specificity": [False, True, True],
        "accuracy": [False, False, True],
    }.get(name, [True, True, True])
    weights = np.stack([weights[0] * ~is_positive, weights[0] * is_positive, 0 * weights[0]])
    result = getattr(weighted, name)(values, is_positive, weights)
    assert np.isnan(result).tolist() == undefined
