"""Whether probabilities are as often right as they say: calibration curve and Brier score."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import isotonic_regression

from core import check
from core.metrics.classification import check_scores


class CalibrationBin(NamedTuple):
    """Cases of similar probability."""

    mean_prob: float
    share_positive: float
    num: int


class BrierParts(NamedTuple):
    """Brier score = miscalibration − discrimination + uncertainty."""

    miscalibration: float
    """What recalibration would take away, 0 or more."""
    discrimination: float
    """What recalibrated probabilities gain on the prevalence for all, 0 or more."""
    uncertainty: float
    """Of the prevalence for all, p (1 − p)."""


def equal_width_edges(num_bins: int) -> Float[np.ndarray, " e"]:
    """Edges of bins of the same width over [0, 1]."""
    check.positive("num_bins", num_bins)
    return np.linspace(0, 1, num_bins + 1)


def equal_count_edges(probs: Float[np.ndarray, " n"], num_bins: int) -> Float[np.ndarray, " e"]:
    """Edges between which lie about as many probabilities, which steadies every point of a curve.

    Args:
      probs: (n,), some.
      num_bins: of the curve; where many probabilities tie, edges do, and fewer bins have cases.
    """
    check.positive("num_bins", num_bins)
    return np.quantile(probs, np.linspace(0, 1, num_bins + 1))


def calibration_curve(
    probs: Float[np.ndarray, " n"],
    is_positive: Bool[np.ndarray, " n"],
    edges: Float[np.ndarray, " e"],
) -> list[CalibrationBin]:
    """Share of positive cases against the probability that they were given, bin by bin.

    Args:
      probs: (n,) of being positive.
      is_positive: (n,) truth.
      edges: rising, of `equal_width_edges` or `equal_count_edges`; a probability on an inner edge
        counts to the bin below it, what lies outside to the first or last bin.

    Returns:
      Bins with cases, by rising probability.

    Raises:
      ValueError: shapes differ, or a probability lies outside [0, 1].
    """
    _check_probs(probs, is_positive)
    bin_of_case = np.searchsorted(edges[1:-1], probs)
    curve = []
    for number in np.unique(bin_of_case):
        inside = bin_of_case == number
        share = float(is_positive[inside].mean())
        num = int(np.count_nonzero(inside))
        curve.append(CalibrationBin(float(probs[inside].mean()), share, num))
    return curve


def brier_score(probs: Float[np.ndarray, " n"], is_positive: Bool[np.ndarray, " n"]) -> float:
    """Mean squared error of probabilities, 0 at best; nan without cases.

    mean (p − y)², y 1 for positive cases and 0 for the others

    Args:
      probs: (n,) of being positive.
      is_positive: (n,) truth.

    Raises:
      ValueError: shapes differ, or a probability lies outside [0, 1].

    Source: Brier 1950, Mon. Weather Rev. 78.
    """
    _check_probs(probs, is_positive)
    return float(np.mean((probs - is_positive) ** 2)) if probs.size else float("nan")


def brier_parts(probs: Float[np.ndarray, " n"], is_positive: Bool[np.ndarray, " n"]) -> BrierParts:
    """The Brier score as calibration, discrimination and what the prevalence leaves open.

    With the probabilities recalibrated by isotonic regression the parts add up exactly, and no
    number of bins is chosen.

    Args:
      probs: (n,) of being positive.
      is_positive: (n,) truth.

    Returns:
      Three parts; nan without cases.

    Raises:
      ValueError: shapes differ, or a probability lies outside [0, 1].

    Source: Dimitriadis et al. 2021, PNAS 118, "CORP".
    """
    score = brier_score(probs, is_positive)
    if np.isnan(score):
        return BrierParts(score, score, score)
    recalibrated = brier_score(_recalibrated(probs, is_positive), is_positive)
    prevalence = float(is_positive.mean())
    uncertainty = prevalence * (1 - prevalence)
    return BrierParts(score - recalibrated, uncertainty - recalibrated, uncertainty)


def _recalibrated(
    probs: Float[np.ndarray, " n"], is_positive: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """The rising function of the probabilities that is nearest to the truth."""
    _, rank, counts = np.unique(probs, return_inverse=True, return_counts=True)
    shares = np.bincount(rank, is_positive) / counts
    fitted = isotonic_regression(shares, weights=counts.astype(float)).x
    return np.clip(fitted, 0, 1)[rank]  # a mean of shares may leave [0, 1] by a rounding


def _check_probs(probs: np.ndarray, is_positive: np.ndarray) -> None:
    check_scores(probs, is_positive)
    outside = np.flatnonzero((probs < 0) | (probs > 1))
    if outside.size:
        case = int(outside[0])
        raise ValueError(f"probs must lie in [0, 1]; got {probs[case]} at case {case}")
