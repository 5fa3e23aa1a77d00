"""Aggregates of a screening: the columns of Table 1 of both papers, AUC, and their intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.metrics.classification import auc, sensitivity
from core.metrics.intervals import (
    Interval,
    bootstrap_interval,
    delong_interval,
    wilson_interval,
)
from core.metrics.overlap import confusion_counts
from core.metrics.rows import Row, column, summarize

BOOTSTRAP_SEED = 0
DSC_NAMES = ("tumor_dsc", "pancreas_dsc", "normal_pancreas_dsc", "abnormal_pancreas_dsc")


def summarize_screening(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Aggregates over finished cases: Table 1's columns, AUC, and intervals of 95 %.

    Tumor DSC is over abnormal cases; a miss is an abnormal case with tumor DSC 0 (Table 1), or one
    that is called normal (PNET Table 1). Where normal test cases are screened by the model of every
    fold, the specificity is the mean over the folds' models, the majority-voted one beside it.
    """
    called, abnormal = (
        np.array([row[name] for row in rows], bool) for name in ("called", "abnormal")
    )
    scores = np.array([row["score"] for row in rows], float)
    counts = confusion_counts(called, abnormal)
    summary: dict[str, Any] = {
        "num_abnormal": int(abnormal.sum()),
        "num_normal": int((~abnormal).sum()),
        "num_normal_patients": len({row["patient"] for row in rows if not row["abnormal"]}),
        "num_folds": len({row["fold"] for row in rows}),
        "sensitivity": sensitivity(counts),
        "specificity": specificity_over_folds(rows),
        "specificity_by_majority": specificity_by_majority(rows),
        "sensitivity_ci": wilson_interval(counts.true_positive, int(abnormal.sum())),
        "specificity_ci": _specificity_interval(rows),
        "auc": auc(scores, abnormal),
        "auc_ci": delong_interval(scores, abnormal),
        "num_true_positive": counts.true_positive,
        "num_true_negative": counts.true_negative,
        "num_false_negative": counts.false_negative,
        "num_false_positive": counts.false_positive,
        "num_misses": sum(row["tumor_dsc"] == 0 for row in rows),
        **summarize(rows, DSC_NAMES),
    }
    for name in DSC_NAMES:
        summary[f"{name}_ci"] = bootstrap_interval(column(rows, name), seed=BOOTSTRAP_SEED)
    return summary | {"dsc": summary["pancreas_dsc"]}


def specificity_over_folds(rows: Sequence[Row]) -> float:
    """Mean over the folds' models of the specificity of each; nan without a normal case.

    Of cases that one model each has screened, the share that is called normal.
    """
    by_case = _normals(rows, "id")
    if all(len(called) == 1 for called in by_case.values()):
        return specificity_by_majority(rows)
    by_fold = _normals(rows, "fold")
    return float(np.mean([1 - np.mean(called) for called in by_fold.values()] or [np.nan]))


def specificity_by_majority(rows: Sequence[Row]) -> float:
    """Share of normal cases that at most half of the folds' models call PDAC."""
    votes = _normals(rows, "id")
    return float(np.mean([np.mean(called) <= 0.5 for called in votes.values()] or [np.nan]))


def _specificity_interval(rows: Sequence[Row]) -> Interval:
    """Of one model Wilson's; of several models of the same cases, cases are resampled."""
    votes = list(_normals(rows, "id").values())
    if all(len(called) == 1 for called in votes):
        return wilson_interval(sum(not called[0] for called in votes), len(votes))
    return bootstrap_interval(np.array([1 - np.mean(c) for c in votes]), seed=BOOTSTRAP_SEED)


def _normals(rows: Sequence[Row], key: str) -> dict[Any, list[bool]]:
    """Calls of the normal cases by fold or case."""
    groups: dict[Any, list[bool]] = {}
    for row in rows:
        if not row["abnormal"]:
            groups.setdefault(row[key], []).append(row["called"])
    return groups
