"""Rates and the area under the ROC curve of weighted cases, for many sets of weights at once.

A resampled cohort is its cases with weights: how often each was drawn. So a thousand bootstraps
are one call, without a copy of any case.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Shaped

Weights = Float[np.ndarray, "r n"]
"""Of each case in each of r cohorts; 1 everywhere is the cohort itself."""
Statistic = Callable[
    [Shaped[np.ndarray, " n"], Bool[np.ndarray, " n"], Weights], Float[np.ndarray, " r"]
]
"""From decisions or scores, the truth and weights to one number per cohort."""


def sensitivity(
    called: Bool[np.ndarray, " n"], is_positive: Bool[np.ndarray, " n"], weights: Weights
) -> Float[np.ndarray, " r"]:
    """Share of the positive weight that is called positive; nan without any."""
    positive = weights[:, is_positive]
    return _ratio(positive @ called[is_positive].astype(float), positive.sum(axis=1))


def specificity(
    called: Bool[np.ndarray, " n"], is_positive: Bool[np.ndarray, " n"], weights: Weights
) -> Float[np.ndarray, " r"]:
    """Share of the negative weight that is called negative; nan without any."""
    return sensitivity(~called, ~is_positive, weights)


def accuracy(
    called: Bool[np.ndarray, " n"], is_positive: Bool[np.ndarray, " n"], weights: Weights
) -> Float[np.ndarray, " r"]:
    """Share of the weight that is called correctly; nan without any."""
    return _ratio(weights @ (called == is_positive).astype(float), weights.sum(axis=1))


def balanced_accuracy(
    called: Bool[np.ndarray, " n"], is_positive: Bool[np.ndarray, " n"], weights: Weights
) -> Float[np.ndarray, " r"]:
    """Mean of sensitivity and specificity; nan where a class has no weight."""
    of_positive = sensitivity(called, is_positive, weights)
    return (of_positive + specificity(called, is_positive, weights)) / 2


def auc(
    scores: Shaped[np.ndarray, " n"], is_positive: Bool[np.ndarray, " n"], weights: Weights
) -> Float[np.ndarray, " r"]:
    """Weighted share of pairs in which the positive case outranks the negative one, ties half.

    Σ_{i positive} w_i (B_i + T_i / 2) / (Σ_{i positive} w_i · Σ_{j negative} w_j), with B_i the
    weight of negative cases that score below case i and T_i of those that score as it does

    Args:
      scores: (n,) higher means more likely positive.
      is_positive: (n,) truth.
      weights: (r, n).

    Returns:
      (r,) in [0, 1]; nan where a class has no weight.
    """
    negatives = np.flatnonzero(~is_positive)
    negatives = negatives[np.argsort(scores[negatives], kind="stable")]
    # Column k is the weight of the k negative cases with the lowest scores.
    lowest = np.zeros((len(weights), negatives.size + 1))
    np.cumsum(weights[:, negatives], axis=1, out=lowest[:, 1:])
    below, up_to = (
        np.searchsorted(scores[negatives], scores[is_positive], side=side)
        for side in ("left", "right")
    )
    positive = weights[:, is_positive]
    wins = np.einsum("rm,rm->r", positive, lowest[:, below] + lowest[:, up_to]) / 2
    return _ratio(wins, positive.sum(axis=1) * lowest[:, -1])


def _ratio(
    numerator: Float[np.ndarray, " r"], denominator: Float[np.ndarray, " r"]
) -> Float[np.ndarray, " r"]:
    undefined = np.full(denominator.shape, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)
