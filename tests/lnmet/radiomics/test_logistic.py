"""Logistic regression where its maximum exists, and where it does not."""

import sys

import numpy as np
import pytest

from lnmet.radiomics.logistic import fit_logistic, is_separable, log_odds, probability
from tests.refusals import refused

RIDGE = 1e-3


def rows(seed: int, num: int, *, effect: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(num, 3))
    return inputs, random.random(num) < 1 / (1 + np.exp(-effect * inputs[:, 0]))


def test_the_score_equations_hold_at_the_maximum():
    """The gradient of the log-likelihood, Σ (y - p) x, is 0."""
    inputs, is_positive = rows(0, 80, effect=1.0)
    model = fit_logistic(inputs, is_positive, ridge=RIDGE)
    left_over = is_positive - probability(model, inputs)
    assert model.ridge == 0
    np.testing.assert_allclose(left_over @ inputs, 0, atol=1e-6)
    assert left_over.sum() == pytest.approx(0, abs=1e-6)


def test_one_binary_input_has_the_odds_of_its_table():
    """Of 10 with a positive reading 7 are positive, of 12 others 3."""
    reading = np.repeat([1.0, 0.0], [10, 12])[:, None]
    is_positive = np.concatenate([np.arange(10) < 7, np.arange(12) < 3])
    model = fit_logistic(reading, is_positive, ridge=RIDGE)
    assert model.intercept == pytest.approx(np.log(3 / 9))
    assert model.weights[0] == pytest.approx(np.log(7 / 3) - np.log(3 / 9))


def test_separable_rows_get_a_ridge():
    """Its gradient is λ w: Σ (y - p) x = λ w, with the intercept free."""
    inputs, _ = rows(1, 40, effect=0)
    is_positive = inputs[:, 0] + inputs[:, 1] > 0.1
    model = fit_logistic(inputs, is_positive, ridge=RIDGE)
    left_over = is_positive - probability(model, inputs)
    assert model.ridge == RIDGE
    np.testing.assert_allclose(left_over @ inputs, RIDGE * model.weights, atol=1e-5)
    assert ((log_odds(model, inputs) > 0) == is_positive).all()


def test_dependent_inputs_share_their_weight():
    inputs, is_positive = rows(2, 60, effect=1.0)
    twice = np.column_stack([inputs[:, :1], inputs[:, :1]])
    model = fit_logistic(twice, is_positive, ridge=RIDGE)
    assert model.ridge == RIDGE
    assert model.weights[0] == pytest.approx(model.weights[1], rel=1e-6)


@pytest.mark.parametrize(
    ("values", "statuses", "expected"),
    [
        ([1, 2, 3, 4], [0, 0, 1, 1], True),
        ([1, 2, 2, 3], [0, 0, 1, 1], True),  # two rows on the plane: quasi-separable
        ([1, 3, 2, 4], [0, 0, 1, 1], False),
        ([2, 2, 2, 2], [0, 1, 0, 1], False),  # all on the plane: no direction gains
        ([1e-3, 2e-3, 3e-3, 4e-3], [0, 0, 1, 1], True),
    ],
)
def test_separation_is_told(values: list[float], statuses: list[int], expected: bool):
    inputs = np.array(values, float)[:, None]
    assert is_separable(inputs, np.array(statuses, bool)) is expected


def test_as_many_inputs_as_rows_always_separate():
    inputs = np.random.default_rng(3).normal(size=(12, 12))
    assert is_separable(inputs, np.arange(12) % 2 == 0)


def test_without_inputs_it_is_the_share_of_positives():
    model = fit_logistic(np.zeros((8, 0)), np.arange(8) < 2, ridge=RIDGE)
    np.testing.assert_allclose(probability(model, np.zeros((3, 0))), 0.25)


def test_without_scikit_learn_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with refused(None, "scikit-learn", hint="pip install 'panjax[radiomics]'"):
        fit_logistic(*rows(0, 10, effect=1.0), ridge=RIDGE)
