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


def summarize_patients(rows: Sequence[Row]) -> dict[str, Any]:
    """Aggregates over patients, with intervals of 95 %.

    A failed patient counts in `num_failed` and nowhere else. Accuracies of `locate` and `diagnose`
    are over slices; slices of one patient resemble each other, so these have no interval.
    """
    done = [row for row in rows if row["status"] == "done"]
    called, tumor = (np.array([row[name] for row in done], bool) for name in ("called", "tumor"))
    scores = np.array([row["score"] for row in done], float)
    counts = confusion_counts(called, tumor)
    tp, fp, fn, tn = counts
    return {
        "num_patients": len(rows),
        "num_failed": len(rows) - len(done),
        "num_true_positive": tp,
        "num_false_positive": fp,
        "num_false_negative": fn,
        "num_true_negative": tn,
        "accuracy": accuracy(counts),
        "accuracy_ci": wilson_interval(tp + tn, len(done)),
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
        **_slices(done),
        **_voxels(done),
    }


def _slices(done: Sequence[Row]) -> dict[str, Any]:
    """Slices of all patients together."""
    total = {
        name: sum(row[name] for row in done)
        for name in (
            "num_files",
            "num_used",
            "num_slices",
            "num_kept",
            "num_annotated_slices",
            "num_right_slices",
            "num_right_kept",
        )
    }
    return total | {
        "locate_accuracy": ratio(total["num_right_slices"], total["num_annotated_slices"]),
        "diagnose_accuracy": ratio(total["num_right_kept"], total["num_kept"]),
    }


def _voxels(done: Sequence[Row]) -> dict[str, Any]:
    """Overlap of the pancreas and seconds, a value per patient."""
    if not done:
        return {}
    found: dict[str, Any] = summarize(done, MEASURED)
    for name in ("dsc", "miou"):
        found[f"{name}_ci"] = bootstrap_interval(column(done, name), seed=BOOTSTRAP_SEED)
    return found


def by_type(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Accuracy among the patients of each type of tumor, and among those without (Fig. 6C)."""
    types: dict[str, list[bool]] = {}
    for row in rows:
        name = (row["tumor_type"] or UNTYPED) if row["tumor"] else NORMAL
        answers = types.setdefault(name, [])
        if row["status"] == "done":
            answers.append(row["right"])
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
