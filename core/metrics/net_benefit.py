"""Decision curves: whether it helps patients to be treated as a score says.

Who would be treated from a probability of 10 % on weighs a needless treatment as 1/9 of a missed
one. That threshold is a preference, not found in data: a curve shows the benefit for each.
"""

import numpy as np
from jaxtyping import Bool, Float

from core.metrics.classification import check_scores


def net_benefit(
    probs: Float[np.ndarray, " n"],
    is_positive: Bool[np.ndarray, " n"],
    thresholds: Float[np.ndarray, " t"],
) -> Float[np.ndarray, " t"]:
    """True positives per patient less false positives at their price, for each threshold.

    TP / n − FP / n · t / (1 − t), where those with probability t or more are treated

    Args:
      probs: (n,) calibrated probabilities of being positive.
      is_positive: (n,) truth.
      thresholds: (t,) in [0, 1).

    Returns:
      (t,) at most the prevalence; to treat nobody is 0. nan without cases.

    Raises:
      ValueError: shapes differ, a score is not finite, or a threshold is outside [0, 1).

    Source: Vickers & Elkin 2006, Med. Decis. Making 26.
    """
    check_scores(probs, is_positive)
    if not ((thresholds >= 0) & (thresholds < 1)).all():
        raise ValueError(f"thresholds must lie in [0, 1); got {thresholds}")
    if not probs.size:
        return np.full(thresholds.shape, np.nan)
    treated = probs[None, :] >= thresholds[:, None]
    true_positives = np.count_nonzero(treated & is_positive, axis=1)
    false_positives = np.count_nonzero(treated & ~is_positive, axis=1)
    return (true_positives - false_positives * thresholds / (1 - thresholds)) / probs.size


def net_benefit_of_treating_all(
    is_positive: Bool[np.ndarray, " n"], thresholds: Float[np.ndarray, " t"]
) -> Float[np.ndarray, " t"]:
    """What a score has to exceed, beside the 0 of treating nobody, to be of use.

    Args:
      is_positive: (n,) truth.
      thresholds: (t,) in [0, 1).
    """
    return net_benefit(np.ones(is_positive.size), is_positive, thresholds)
