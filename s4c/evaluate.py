"""Predictions against truth: a row per case, Table 1 and the ROC curve of Fig. 4."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core import cli
from core.commands import evaluate as evaluation
from core.commands.evaluate import Paper, Prediction, Truth
from core.datasets.pancreas import TUMOR
from core.datasets.pancreas_cases import PancreasCase, read_pancreas
from core.io import nifti
from core.io.labels import require_same_grid
from core.metrics.classification import auc, sensitivity
from core.metrics.intervals import (
    Interval,
    bootstrap_interval,
    delong_interval,
    wilson_interval,
)
from core.metrics.overlap import confusion_counts
from core.metrics.rows import Row, column, summarize
from core.volume import reorient, same_grid
from s4c.evaluation_page import evaluation_page, table_1
from s4c.overlap import overlap

BOOTSTRAP_SEED = 0
DSC_NAMES = ("tumor_dsc", "pancreas_dsc", "normal_pancreas_dsc", "abnormal_pancreas_dsc")
SEGMENTATION = "segmentation.nii.gz"


def evaluate(preds: cli.Preds, truths: cli.Truths, out: Path) -> dict[str, Any]:
    """Compare screenings with annotated data: Table 1, ROC curve, a row per case.

    Args:
      preds: the --out of `screen`; several where each fold, or row of Table 1, has its own.
      truths: nnU-Net raw, MSD or NIH data sets that hold the screened scans.
      out: gets metrics.json, rows.csv and report.html.

    Returns:
      Content of metrics.json: {"summary": {name: number}, "groups": …, "rows": [one per case]}.

    Raises:
      InputError: no screening in `preds`, or none of its scans is annotated in `truths`.
    """
    annotated = [_truth(case) for data in truths for case in read_pancreas(data).cases]
    metrics, matched = evaluation.evaluate(PAPER, preds, annotated)
    page = evaluation_page(metrics, [match.prediction for match in matched])
    evaluation.write(out, metrics, page, table_1(metrics))
    return metrics


def _truth(case: PancreasCase) -> Truth[PancreasCase]:
    return Truth(case.patient, case.image, (case.id,), case)


def _same_grid(prediction: Prediction, truth: Truth[PancreasCase]) -> bool:
    grid = nifti.read_grid(prediction.folder / SEGMENTATION)
    return same_grid(grid, reorient(truth.case.read_label(), grid.direction))


def _measure(truth: Truth[PancreasCase], prediction: Prediction | None) -> dict[str, Any]:
    true = truth.case.read_label()
    tumor = true.array == TUMOR
    row = {
        "abnormal": bool(tumor.any()),
        "true_tumor_ml": np.count_nonzero(tumor) * true.voxel_mm3 / 1000,
    }
    if prediction is None:
        return row
    path = prediction.folder / SEGMENTATION
    label = require_same_grid(true, nifti.read_label(path), truth.path, path).array
    return row | {
        "called": prediction.row["decision"] == "PDAC",
        "score": prediction.row["score"],
        "tumor_ml": prediction.row["tumor_ml"],
        **_overlaps(row["abnormal"], *overlap(label, true.array)),
    }


def _as_error(row: Row) -> dict[str, Any]:
    """A scan without an answer is called wrongly and nothing in it is segmented."""
    abnormal = row["abnormal"]
    wrong = {"called": not abnormal, "score": float(not abnormal)}
    return wrong | _overlaps(abnormal, 0.0, 0.0)


def _overlaps(abnormal: bool, pancreas_dsc: float, tumor_dsc: float) -> dict[str, float]:
    """Columns of Table 1; nan where a case has no part in one."""
    nan = float("nan")
    return {
        "tumor_dsc": tumor_dsc if abnormal else nan,
        "pancreas_dsc": pancreas_dsc,
        "normal_pancreas_dsc": nan if abnormal else pancreas_dsc,
        "abnormal_pancreas_dsc": pancreas_dsc if abnormal else nan,
    }


def summarize_screening(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Aggregates over finished cases: Table 1's columns, AUC, and intervals of 95 %.

    Tumor DSC is over abnormal cases; a miss is an abnormal case with tumor DSC 0 (Table 1). Normal
    test cases are screened by the model of every fold: the specificity is the mean over the folds'
    models, the majority-voted one stands beside it.
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
        "num_misses": sum(row["tumor_dsc"] == 0 for row in rows),
        **summarize(rows, DSC_NAMES),
    }
    for name in DSC_NAMES:
        summary[f"{name}_ci"] = bootstrap_interval(column(rows, name), seed=BOOTSTRAP_SEED)
    return summary | {"dsc": summary["pancreas_dsc"]}


def specificity_over_folds(rows: Sequence[Row]) -> float:
    """Mean over the folds' models of the specificity of each; nan without a normal case."""
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


PAPER = Paper(
    command="s4c screen",
    group=lambda results: results["scale"],
    same=_same_grid,
    measure=_measure,
    as_error=_as_error,
    summarize=summarize_screening,
)
