"""Rows of patients to the figures of the paper, each with its interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.metrics.classification import accuracy, auc, f1, precision, sensitivity, specificity
from core.metrics.compare import bootstrap_interval, delong_interval, f1_interval, wilson_interval
from core.metrics.overlap import confusion_counts, ratio
from core.metrics.rows import Row, column, summarize

BOOTSTRAP_SEED = 0
NORMAL, UNTYPED = "normal", "not told"
MEASURED = ("dsc", "miou", "seconds")
COUNTED = (
    "num_files",
    "num_used",
    "num_slices",
    "num_kept",
    "num_annotated_slices",
    "num_right_slices",
    "num_diagnosed",
    "num_right_diagnosed",
)


def summarize_patients(rows: Sequence[Row]) -> dict[str, Any]:
    """Aggregates over patients, with intervals of 95 %.

    Accuracies of `locate` and `diagnose` are over slices; slices of one patient resemble each
    other, so these have no interval.
    """
    called, tumor = (np.array([row[name] for row in rows], bool) for name in ("called", "tumor"))
    scores = np.array([row["score"] for row in rows], float)
    counts = confusion_counts(called, tumor)
    tp, fp, fn, tn = counts
    sums = {name: sum(row[name] for row in rows) for name in COUNTED}
    summary: dict[str, Any] = {
        "num_patients": len(rows),
        "num_true_positive": tp,
        "num_false_positive": fp,
        "num_false_negative": fn,
        "num_true_negative": tn,
        "accuracy": accuracy(counts),
        "accuracy_ci": wilson_interval(tp + tn, len(rows)),
        "precision": precision(counts),
        "precision_ci": wilson_interval(tp, tp + fp),
        "recall": sensitivity(counts),
        "recall_ci": wilson_interval(tp, tp + fn),
        "f1": f1(counts),
        "f1_ci": f1_interval(counts),
        "sensitivity": sensitivity(counts),
        "sensitivity_ci": wilson_interval(tp, tp + fn),
        "specificity": specificity(counts),
        "specificity_ci": wilson_interval(tn, tn + fp),
        "auc": auc(scores, tumor),
        "auc_ci": delong_interval(scores, tumor),
        **sums,
        "locate_accuracy": ratio(sums["num_right_slices"], sums["num_annotated_slices"]),
        "diagnose_accuracy": ratio(sums["num_right_diagnosed"], sums["num_diagnosed"]),
        "types": by_type(rows),
    }
    if rows:
        summary |= summarize(rows, MEASURED)
        for name in ("dsc", "miou"):
            summary[f"{name}_ci"] = bootstrap_interval(column(rows, name), seed=BOOTSTRAP_SEED)
    return summary


def by_type(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Accuracy among the patients of each type of tumor, and among those without (Fig. 6C)."""
    types: dict[str, list[bool]] = {}
    for row in rows:
        name = (row["tumor_type"] or UNTYPED) if row["tumor"] else NORMAL
        types.setdefault(name, []).append(row["right"])
    return [
        {
            "type": name,
            "num": len(answers),
            "num_right": sum(answers),
            "accuracy": ratio(sum(answers), len(answers)),
            "accuracy_ci": wilson_interval(sum(answers), len(answers)),
        }
        for name, answers in types.items()
    ]
