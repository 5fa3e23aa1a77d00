"""Tests of hypotheses on values per case; a test that cannot be made says why.

Undefined values (nan) are left out first. A result is undefined (nan) where there are too few
values, or no two that differ: its `reason` then tells, for the table that shows it.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from core import check

MAX_SHAPIRO = 5000


class HypothesisTest(NamedTuple):
    """Statistic and two-sided p value, how many values they rest on, and why there are none."""

    statistic: float
    p_value: float
    num: int
    reason: str = ""


def shapiro_wilk(values: ArrayLike) -> HypothesisTest:
    """Whether values may come from a normal distribution; small p says they do not.

    Args:
      values: (n,) one per case; from 3 on, up to the 5000 that its approximation is made for.

    Raises:
      ValueError: values are not one per case.

    Source: Shapiro & Wilk 1965, Biometrika 52; Cancers 2022 (EUSDAF), Sec. 2.6.
    """
    defined = defined_values(values)
    if defined.size < 3:
        return untested(defined.size, f"needs 3 values, has {defined.size}")
    if defined.size > MAX_SHAPIRO:
        return untested(defined.size, f"holds up to {MAX_SHAPIRO} values, has {defined.size}")
    if (defined == defined[0]).all():
        return untested(defined.size, "all values are equal")
    result = stats.shapiro(defined)
    return HypothesisTest(float(result.statistic), float(result.pvalue), defined.size)


def kruskal_wallis(groups: Mapping[str, ArrayLike]) -> HypothesisTest:
    """Whether groups may share one distribution; small p says that one of them lies apart.

    Ranks with the correction for ties, p from χ² with k − 1 degrees of freedom. Of two groups this
    is the Mann–Whitney test, normal approximation without continuity correction.

    Args:
      groups: (n_i,) values by name; groups without a value are left out.

    Raises:
      ValueError: values of a group are not one per case.

    Source: Kruskal & Wallis 1952, JASA 47; Cancers 2022 (EUSDAF), Sec. 2.6.
    """
    filled = [defined for values in groups.values() if (defined := defined_values(values)).size]
    num = sum(group.size for group in filled)
    if len(filled) < 2:
        return untested(num, f"needs 2 groups with values, has {len(filled)}")
    if all((group == filled[0][0]).all() for group in filled):
        return untested(num, "all values are equal")
    result = stats.kruskal(*filled)
    return HypothesisTest(float(result.statistic), float(result.pvalue), num)


def pairwise(groups: Mapping[str, ArrayLike]) -> dict[tuple[str, str], HypothesisTest]:
    """Kruskal–Wallis of every two groups; p values as they come: see `holm`.

    Args:
      groups: (n_i,) values by name.

    Returns:
      One result per pair of names, in the order of the groups.

    Source: Cancers 2022 (EUSDAF), Sec. 3.2 (tail against uncinate process).
    """
    pairs = combinations(groups, 2)
    return {(a, b): kruskal_wallis({a: groups[a], b: groups[b]}) for a, b in pairs}


def defined_values(values: ArrayLike) -> NDArray[np.float64]:
    """The values without nan, one per case."""
    array = np.asarray(values, np.float64)
    check.rank("values", array, 1)
    return array[~np.isnan(array)]


def untested(num: int, reason: str) -> HypothesisTest:
    """The result of a test that cannot be made, and why."""
    return HypothesisTest(float("nan"), float("nan"), num, reason)
