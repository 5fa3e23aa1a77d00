"""Cohorts drawn from a cohort: patients with replacement, within each class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from core.metrics.weighted import Weights


def members(groups: Sequence[Any] | np.ndarray | None, num: int) -> Int[np.ndarray, " n"]:
    """Number of the group of each case, from 0; without groups every case is its own.

    Raises:
      ValueError: groups are not one per case.
    """
    if groups is None:
        return np.arange(num)
    if len(groups) != num:
        raise ValueError(f"groups must be one per case; got {len(groups)} for {num}")
    return np.unique(np.asarray(groups), return_inverse=True)[1]


def bootstrap_weights(
    is_positive: Bool[np.ndarray, " n"],
    *,
    seed: int,
    groups: Sequence[Any] | np.ndarray | None = None,
    num_resamples: int = 1000,
) -> Weights:
    """How often each case is in each stratified bootstrap of a cohort.

    The patients of a class are drawn with replacement among themselves, so that every cohort has as
    many of each class. Groups are drawn whole; those with cases of both classes are a third class.

    Args:
      is_positive: (n,) truth.
      seed: of the resampling.
      groups: (n,) the group, such as the patient, of each case; None where every case stands alone.
      num_resamples: r cohorts.

    Returns:
      (r, n) counts as float64.

    Raises:
      ValueError: groups are not one per case.
    """
    member = members(groups, is_positive.size)
    strata = _strata(is_positive, member)
    random = np.random.default_rng(seed)
    drawn = np.empty((num_resamples, strata.size))
    for stratum in np.unique(strata):
        inside = strata == stratum
        size = np.count_nonzero(inside)
        drawn[:, inside] = random.multinomial(size, np.full(size, 1 / size), num_resamples)
    return drawn[:, member]


def smallest_stratum(
    is_positive: Bool[np.ndarray, " n"], groups: Sequence[Any] | np.ndarray | None = None
) -> int:
    """Number of patients in the smallest class that `bootstrap_weights` draws from."""
    counts = np.bincount(_strata(is_positive, members(groups, is_positive.size)))
    return int(counts[counts > 0].min(initial=is_positive.size))


def _strata(
    is_positive: Bool[np.ndarray, " n"], member: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " g"]:
    """Of each group, 1 where it has positive cases, 2 where negative ones, 3 where both."""
    has_positive = np.bincount(member, is_positive) > 0
    has_negative = np.bincount(member, ~is_positive) > 0
    return has_positive + 2 * has_negative
