"""A test of two systems on the same patients by swapping their answers, patient by patient."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from core import check
from core.metrics.hypothesis import HypothesisTest, untested
from core.metrics.resampling import members
from core.metrics.weighted import Statistic

AT_A_TIME = 1000
"""Assignments whose weights are in memory together: 12 MB for 750 patients."""


def permutation_test(
    statistic: Statistic,
    first: NDArray,
    second: NDArray,
    is_positive: NDArray[np.bool_],
    *,
    seed: int,
    groups: Sequence[Any] | NDArray | None = None,
    num_resamples: int = 10_000,
) -> HypothesisTest:
    """Whether it matters which of two systems gave which answer to a patient; two-sided.

    Were the systems alike, each patient's two answers could be swapped: p is the share of swaps
    that differ at least as much as the two systems do. All 2^g swaps of the g patients whose
    answers differ are tried where that is no more than `num_resamples`; else that many random ones,
    and p = (b + 1) / (num_resamples + 1), with b of them as different: valid, and never 0.

    Args:
      statistic: of `core.metrics.weighted`, such as `balanced_accuracy`.
      first: (n,) decisions or scores of one system.
      second: (n,) of the other. Answers must be exchangeable: scores in different units are to be
        replaced by their ranks first (Venkatraman & Begg 1996).
      is_positive: (n,) truth.
      seed: of the random swaps.
      groups: (n,) the group, such as the patient, of each case: swapped as a whole.
      num_resamples: the most swaps.

    Returns:
      Difference of the statistic, first minus second, its p, and the number g; undefined where no
      answer differs or a class has no case.

    Raises:
      ValueError: shapes differ, or groups are not one per case.

    Source: Fisher 1935, randomization of pairs; Phipson & Smyth 2010, Stat. Appl. Genet. Mol.
    Biol. 9, for p of random swaps.
    """
    check.same_shape(first=first, second=second, is_positive=is_positive)
    member = members(groups, first.size)
    differing = np.unique(member[first != second])
    if not differing.size:
        return untested(0, "no patient differs")
    difference = _difference(statistic, first, second, is_positive)
    observed = float(difference(np.zeros((1, first.size), bool))[0])
    if np.isnan(observed):
        return untested(differing.size, "a class has no case")
    is_exact = 2**differing.size <= num_resamples
    drawn = _all(differing.size) if is_exact else _random(differing.size, seed, num_resamples)
    as_different = total = 0
    for swaps in drawn:
        swapped = np.zeros((len(swaps), member.max() + 1), bool)
        swapped[:, differing] = swaps
        # Equal differences of rates may differ by a rounding.
        is_as_different = np.abs(difference(swapped[:, member])) >= abs(observed) - 1e-12
        as_different += int(np.count_nonzero(is_as_different))
        total += len(swaps)
    p_value = as_different / total if is_exact else (as_different + 1) / (total + 1)
    return HypothesisTest(observed, p_value, differing.size)


def _difference(
    statistic: Statistic, first: NDArray, second: NDArray, is_positive: NDArray[np.bool_]
) -> Callable[[Bool[np.ndarray, "r n"]], Float[np.ndarray, " r"]]:
    """From which cases are swapped to the difference of the systems."""
    both, truth = np.concatenate([first, second]), np.tile(is_positive, 2)

    def difference(is_swapped: Bool[np.ndarray, "r n"]) -> Float[np.ndarray, " r"]:
        # Of all answers, those that the first system has now; the second has the others.
        has_first = np.concatenate([~is_swapped, is_swapped], axis=1).astype(float)
        return statistic(both, truth, has_first) - statistic(both, truth, 1 - has_first)

    return difference


def _all(num: int) -> Iterator[Bool[np.ndarray, "r g"]]:
    for first in range(0, 2**num, AT_A_TIME):
        numbers = np.arange(first, min(first + AT_A_TIME, 2**num))
        yield (numbers[:, None] >> np.arange(num)) % 2 == 1


def _random(num: int, seed: int, num_resamples: int) -> Iterator[Bool[np.ndarray, "r g"]]:
    random = np.random.default_rng(seed)
    for first in range(0, num_resamples, AT_A_TIME):
        yield random.random((min(AT_A_TIME, num_resamples - first), num)) < 0.5
