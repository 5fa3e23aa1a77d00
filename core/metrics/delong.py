"""Areas under ROC curves with their covariance, and tests whether they differ.

Cases are taken as independent: of several cases of a patient, hand over one.
"""

import numpy as np
from jaxtyping import Bool, Float, Num
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from core.metrics.classification import check_scores
from core.metrics.hypothesis import HypothesisTest, untested


def delong(
    scores: Num[np.ndarray, "k n"], is_positive: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k k"]]:
    """Area under the ROC curve of k systems on the same cases, and the covariance of the areas.

    cov(V10) / m + cov(V01) / n, with V10 the share of the n negative cases that a positive case
    outranks, ties half, and V01 the share of the m positive cases that outrank a negative one.
    Midranks give both in O(k (m + n) log(m + n)).

    Args:
      scores: (k, n) of each system; higher means more likely positive.
      is_positive: (n,) truth.

    Returns:
      (k,) areas, nan without a case of either class; (k, k) covariance, nan with fewer than two.

    Raises:
      ValueError: shapes differ or a score is not finite.

    Source: DeLong et al. 1988, Biometrics 44; Sun & Xu 2014, IEEE Signal Process. Lett. 21.
    """
    for row in scores:
        check_scores(row, is_positive)
    return _mean_and_covariance(*_wins(scores, is_positive))


def delong_test(
    first: NDArray,
    second: NDArray,
    is_positive: NDArray[np.bool_],
) -> HypothesisTest:
    """Whether two systems have the same area under the ROC curve, on the same cases.

    z = (A₁ − A₂) / √(S₁₁ + S₂₂ − 2 S₁₂), of the areas A and their covariance S

    Args:
      first: (n,) scores of one system.
      second: (n,) of the other, in any unit of its own.
      is_positive: (n,) truth.

    Returns:
      z, positive where the first has the larger area; undefined with fewer than two cases of a
      class, and where the difference does not vary between cases, as of equal rankings.

    Raises:
      ValueError: shapes differ or a score is not finite.

    Source: DeLong et al. 1988, Biometrics 44.
    """
    check_scores(first, is_positive)
    check_scores(second, is_positive)
    above, below = _wins(np.stack([first, second]), is_positive)
    # Wins are whole and half numbers: what is equal differs by nothing, not by a rounding.
    difference = above[:1] - above[1:], below[:1] - below[1:]
    area, variance = _mean_and_covariance(*difference)
    return _z_test(float(area[0]), float(variance[0, 0]), is_positive.size)


def delong_test_unpaired(
    first: NDArray,
    first_is_positive: NDArray[np.bool_],
    second: NDArray,
    second_is_positive: NDArray[np.bool_],
) -> HypothesisTest:
    """Whether the areas under the ROC curve on two cohorts without a common patient are the same.

    z = (A₁ − A₂) / √(S₁ + S₂), with S the variance of each area

    Args:
      first: (n,) scores on one cohort.
      first_is_positive: (n,) its truth.
      second: (m,) scores on the other.
      second_is_positive: (m,) its truth.

    Returns:
      z, positive where the first has the larger area; undefined with fewer than two cases of a
      class, and without a variance, as of two perfect separations.

    Raises:
      ValueError: shapes differ or a score is not finite.
    """
    first_area, first_variance = delong(first[None], first_is_positive)
    second_area, second_variance = delong(second[None], second_is_positive)
    difference = float(first_area[0] - second_area[0])
    variance = float(first_variance[0, 0] + second_variance[0, 0])
    return _z_test(difference, variance, first.size + second.size)


def _wins(
    scores: Num[np.ndarray, "k n"], is_positive: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "k p"], Float[np.ndarray, "k q"]]:
    """Negative cases that each positive one outranks, positive ones that outrank each negative."""
    ranks = rankdata(scores, axis=1)
    positive, negative = scores[:, is_positive], scores[:, ~is_positive]
    above = ranks[:, is_positive] - rankdata(positive, axis=1)
    below = positive.shape[1] - (ranks[:, ~is_positive] - rankdata(negative, axis=1))
    return above, below


def _mean_and_covariance(
    above: Float[np.ndarray, "k p"], below: Float[np.ndarray, "k q"]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k k"]]:
    """Of areas, or of differences of areas, from wins or differences of wins."""
    num_systems, num_positive, num_negative = len(above), above.shape[1], below.shape[1]
    if min(num_positive, num_negative) == 0:
        areas = np.full(num_systems, np.nan)
    else:
        areas = above.sum(axis=1) / (num_positive * num_negative)
    if min(num_positive, num_negative) < 2:
        return areas, np.full((num_systems, num_systems), np.nan)
    of_positive = np.cov(above / num_negative) / num_positive
    of_negative = np.cov(below / num_positive) / num_negative
    return areas, (of_positive + of_negative).reshape(num_systems, num_systems)


def _z_test(difference: float, variance: float, num: int) -> HypothesisTest:
    if np.isnan(variance):
        return untested(num, "needs 2 cases of each class")
    if variance == 0:
        return untested(num, "no case tells how much the areas vary")
    z = difference / np.sqrt(variance)
    return HypothesisTest(float(z), float(2 * norm.sf(abs(z))), num)
