"""Systems that call patients positive: figures of one with intervals, and several against one.

A patient is a case here, or several cases of one group. Scores are in any unit of the system, and
a system may have none, such as a radiologist's report.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Num
from scipy.stats import rankdata

from core import check
from core.metrics import weighted
from core.metrics.classification import check_scores
from core.metrics.compare import bootstrap_wilcoxon, holm, mcnemar
from core.metrics.delong import delong_test
from core.metrics.hypothesis import HypothesisTest, untested
from core.metrics.intervals import UNDEFINED, stratified_interval
from core.metrics.permutation import permutation_test

OF_DECISIONS: dict[str, weighted.Statistic] = {
    "balanced_accuracy": weighted.balanced_accuracy,
    "accuracy": weighted.accuracy,
    "sensitivity": weighted.sensitivity,
    "specificity": weighted.specificity,
}
TESTS = ("p_wilcoxon", "p_permutation", "p_permutation_auc", "p_delong", "p_mcnemar")


class Answers(NamedTuple):
    """Of one system to each patient."""

    scores: Num[np.ndarray, " n"] | None
    """Higher means more likely positive; None where the system gives none."""
    decisions: Bool[np.ndarray, " n"]


def diagnostic_row(
    answers: Answers,
    is_positive: Bool[np.ndarray, " n"],
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    seed: int,
) -> dict[str, Any]:
    """Columns of Tables VI and VII of one system, each with its interval of 95 %.

    Args:
      answers: to n cases.
      is_positive: (n,) truth.
      groups: (n,) patient of each case; None where every case is one.
      seed: of the stratified bootstrap, 1,000 resamples.

    Returns:
      {"balanced_accuracy", "auc", "accuracy", "sensitivity", "specificity", and of each
      "<name>_ci"}; nan where undefined, as the area is without scores.

    Raises:
      ValueError: shapes differ, or a score is not finite.

    Source: Zheng et al. 2022, Sec. IV-E.
    """
    _check(answers, is_positive)
    measured = {name: (statistic, answers.decisions) for name, statistic in OF_DECISIONS.items()}
    if answers.scores is not None:
        measured["auc"] = (weighted.auc, answers.scores)
    row: dict[str, Any] = {"auc": float("nan"), "auc_ci": UNDEFINED}
    for name, (statistic, values) in measured.items():
        row[name] = _value(statistic, values, is_positive)
        row[f"{name}_ci"] = stratified_interval(
            statistic, values, is_positive, seed=seed, groups=groups
        )
    return row


def compare_decisions(
    reference: Answers,
    others: Mapping[str, Answers],
    is_positive: Bool[np.ndarray, " n"],
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    seed: int,
) -> list[dict[str, Any]]:
    """Paired tests of a system against several others, and their p values after Holm's correction.

    Args:
      reference: answers of the system that is compared, such as ours.
      others: answers by name of the system.
      is_positive: (n,) truth.
      groups: (n,) patient of each case; None where every case is one.
      seed: of bootstraps and permutations.

    Returns:
      For each other system {"name", "balanced_accuracy_difference" and "auc_difference" (reference
      minus other), `TESTS` and of each "<test>_holm" over all others, "reasons" {test: why it has
      no p}}. `p_wilcoxon` is the paper's between bootstraps of the balanced accuracy, no test of
      patients; `p_permutation` and `p_permutation_auc` are, of balanced accuracy and of the area.
      `p_delong` is of the area, `p_mcnemar` of the accuracy, both for independent cases.

    Raises:
      ValueError: shapes differ, or a score is not finite.

    Source: Zheng et al. 2022, Sec. IV-E; Holm 1979.
    """
    rows = []
    for name, other in others.items():
        tests = _tests(reference, other, is_positive, groups, seed)
        rows.append(
            {
                "name": name,
                **_differences(reference, other, is_positive),
                **{test: result.p_value for test, result in tests.items()},
                "reasons": {test: result.reason for test, result in tests.items() if result.reason},
            }
        )
    for test in TESTS:
        for row, p in zip(rows, holm([row[test] for row in rows]), strict=True):
            row[f"{test}_holm"] = p
    return rows


def _tests(
    first: Answers,
    second: Answers,
    is_positive: Bool[np.ndarray, " n"],
    groups: Sequence[Any] | np.ndarray | None,
    seed: int,
) -> dict[str, HypothesisTest]:
    _check(first, is_positive)
    _check(second, is_positive)
    decisions = (first.decisions, second.decisions, is_positive)
    drawn: dict[str, Any] = {"seed": seed, "groups": groups}
    tests = {
        "p_wilcoxon": bootstrap_wilcoxon(weighted.balanced_accuracy, *decisions, **drawn),
        "p_permutation": permutation_test(weighted.balanced_accuracy, *decisions, **drawn),
        "p_mcnemar": mcnemar(*(called == is_positive for called in decisions[:2])),
    }
    if first.scores is None or second.scores is None:
        missing = untested(0, "a system gives no scores")
        return tests | {"p_permutation_auc": missing, "p_delong": missing}
    scores = (first.scores, second.scores, is_positive)
    # Ranks: systems score in units of their own.
    ranks = (rankdata(first.scores), rankdata(second.scores), is_positive)
    tests["p_permutation_auc"] = permutation_test(weighted.auc, *ranks, **drawn)
    return tests | {"p_delong": delong_test(*scores)}


def _differences(
    first: Answers, second: Answers, is_positive: Bool[np.ndarray, " n"]
) -> dict[str, float]:
    areas = [
        float("nan") if scores is None else _value(weighted.auc, scores, is_positive)
        for scores in (first.scores, second.scores)
    ]
    balanced = [
        _value(weighted.balanced_accuracy, called, is_positive)
        for called in (first.decisions, second.decisions)
    ]
    return {
        "balanced_accuracy_difference": balanced[0] - balanced[1],
        "auc_difference": areas[0] - areas[1],
    }


def _value(
    statistic: weighted.Statistic, values: np.ndarray, is_positive: Bool[np.ndarray, " n"]
) -> float:
    return float(statistic(values, is_positive, np.ones((1, is_positive.size)))[0])


def _check(answers: Answers, is_positive: Bool[np.ndarray, " n"]) -> None:
    check.same_shape(decisions=answers.decisions, is_positive=is_positive)
    if answers.decisions.dtype != np.bool_:
        raise ValueError(f"decisions must be boolean; got {answers.decisions.dtype}")
    if answers.scores is not None:
        check_scores(answers.scores, is_positive)
