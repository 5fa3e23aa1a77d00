"""Logistic regression whose maximum exists: unpenalized, or with a ridge where it must be."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linprog
from scipy.special import expit

from core.errors import InputError

LEARNER = "pip install 'panjax[radiomics]', or scikit-learn alone"
TOLERANCE = 1e-6
"""Of a row's margin in the linear program: its solver's own is 1e-7."""


class Logistic(NamedTuple):
    """A fitted logistic regression.

    Args:
      weights: of the inputs.
      intercept: log-odds at 0.
      ridge: λ of λ/2 · |weights|² that was added to the negative log-likelihood; 0 for none.
    """

    weights: Float[np.ndarray, "k"]
    intercept: float
    ridge: float


def is_separable(inputs: Float[np.ndarray, "n k"], is_positive: Bool[np.ndarray, "n"]) -> bool:
    """Whether a plane has all positive rows on one side and all others on the other, or on it.

    Then, and only then, the likelihood grows without end in some direction (Albert and Anderson
    1984). Told by a linear program: the largest sum of margins ±(w·x + b) that are all at least 0,
    for |w|, |b| ≤ 1, is above 0.

    Source: Konis 2007, "Linear programming algorithms for detecting separated data in binary
    logistic regression models", section 4.2.
    """
    signed = np.where(is_positive[:, None], 1.0, -1.0) * _with_one(inputs)
    program = linprog(
        -signed.sum(0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1), method="highs"
    )
    return bool(-program.fun > TOLERANCE * len(signed))


def fit_logistic(
    inputs: Float[np.ndarray, "n k"], is_positive: Bool[np.ndarray, "n"], *, ridge: float
) -> Logistic:
    """Fit by maximum likelihood; with a ridge where that has no unique maximum.

    That is, where the rows are separable, or the inputs are linearly dependent.

    Args:
      inputs: about standardized, for the ridge weighs them alike.
      is_positive: both values occur.
      ridge: λ of λ/2 · |weights|², used only then.

    Raises:
      InputError: scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise InputError("radiomics needs scikit-learn to learn", hint=LEARNER) from None
    if inputs.shape[1] == 0:
        share = is_positive.mean()
        return Logistic(np.zeros(0), float(np.log(share / (1 - share))), 0.0)
    dependent = np.linalg.matrix_rank(_with_one(inputs)) <= inputs.shape[1]
    used = ridge if dependent or is_separable(inputs, is_positive) else 0.0
    model = LogisticRegression(
        C=1 / used if used else np.inf, solver="newton-cholesky", tol=1e-8, max_iter=1000
    ).fit(inputs, is_positive)
    return Logistic(model.coef_[0], float(model.intercept_[0]), used)


def log_odds(model: Logistic, inputs: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n"]:
    """Log-odds of being positive."""
    return inputs @ model.weights + model.intercept


def probability(model: Logistic, inputs: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n"]:
    """Probability of being positive."""
    return expit(log_odds(model, inputs))


def _with_one(inputs: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k+1"]:
    return np.column_stack([inputs, np.ones(len(inputs))])
