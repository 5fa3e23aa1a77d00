"""Resampled cohorts keep the size of each class and draw patients whole."""

import numpy as np
import pytest

from core.metrics.resampling import bootstrap_weights, members, smallest_stratum

IS_POSITIVE = np.arange(12) < 5


def test_every_cohort_has_as_many_cases_of_each_class():
    weights = bootstrap_weights(IS_POSITIVE, seed=0)
    assert weights.shape == (1000, 12)
    assert (weights[:, IS_POSITIVE].sum(axis=1) == 5).all()
    assert (weights[:, ~IS_POSITIVE].sum(axis=1) == 7).all()


def test_every_case_is_drawn_once_on_average_as_a_binomial_number():
    weights = bootstrap_weights(IS_POSITIVE, seed=0, num_resamples=20_000)
    size = np.where(IS_POSITIVE, 5, 7)
    variance = 1 - 1 / size  # of n draws with 1 / n each
    # Four standard errors of a mean, and of a variance whose fourth moment is below 4.
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=4 * np.sqrt(1 / 20_000))
    np.testing.assert_allclose(weights.var(axis=0), variance, atol=4 * np.sqrt(4 / 20_000))


def test_a_patient_is_drawn_whole_within_patients_of_the_same_classes():
    patients = np.array(list("aabbcdefghhi"))  # b has cases of both classes from its fourth on
    is_positive = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0], bool)
    weights = bootstrap_weights(is_positive, seed=0, groups=patients)
    by_patient = {p: weights[:, patients == p] for p in "abcdefghi"}
    assert all((drawn == drawn[:, :1]).all() for drawn in by_patient.values())
    for stratum in ("acd", "b", "efghi"):
        assert (sum(by_patient[p][:, 0] for p in stratum) == len(stratum)).all()
    assert smallest_stratum(is_positive, list(patients)) == 1
    assert smallest_stratum(IS_POSITIVE) == 5


def test_resampling_is_a_pure_function_of_its_seed():
    first, again, other = (bootstrap_weights(IS_POSITIVE, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_no_case_is_no_stratum():
    nobody = np.zeros(0, bool)
    assert smallest_stratum(nobody) == 0
    assert bootstrap_weights(nobody, seed=0, num_resamples=3).shape == (3, 0)


def test_groups_are_numbered_and_one_per_case():
    assert members(["b", "a", "b"], 3).tolist() == [1, 0, 1]
    assert members(None, 3).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="groups must be one per case; got 2 for 3"):
        members(["a", "b"], 3)
