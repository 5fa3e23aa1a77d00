"""Predictions against truth: a row per case, Table 1 and the ROC curve of Fig. 4."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core import atomic, json_io
from core.datasets import Case, Dataset, read_dataset
from core.datasets.pancreas import BACKGROUND, NAMES, TUMOR, lookup
from core.errors import InputError
from core.io import nifti
from core.io.labels import check_ids, require_same_grid
from core.metrics.classification import auc, sensitivity, specificity
from core.metrics.compare import bootstrap_interval, delong_interval, wilson_interval
from core.metrics.overlap import confusion_counts, dice
from core.metrics.rows import column, summarize, write_csv
from core.report.results import read as read_results
from core.volume import Volume
from s4c.evaluation_page import evaluation_page

BOOTSTRAP_SEED = 0
DSC_NAMES = ("tumor_dsc", "pancreas_dsc", "normal_pancreas_dsc", "abnormal_pancreas_dsc")


def evaluate(pred: Path, truth: Path, out: Path) -> dict[str, Any]:
    """Compare the output of `s4c screen` with an annotated data set.

    Args:
      pred: a screening's output folder, with results.json and cases/<id>/segmentation.nii.gz.
      truth: nnU-Net raw or MSD data set that holds the scans; matched by the image's file name.
      out: gets metrics.json, rows.csv and report.html.

    Returns:
      Content of metrics.json: {"summary": {name: number}, "rows": [one per case]}.

    Raises:
      InputError: no screening in `pred`, or none of its scans is annotated in `truth`.
    """
    results = read_results(pred, "s4c screen")
    dataset = read_dataset(truth)
    annotated = {_stem(case.images[0]): case for case in dataset.cases}
    matched = [
        (r, annotated[_stem(r["input"])])
        for r in results["cases"]
        if _stem(r["input"]) in annotated
    ]
    if not matched:
        raise InputError(
            f"none of the {len(results['cases'])} screened scans is annotated in {truth}",
            path=pred,
            hint="scans are matched by the name of the image file",
        )
    rows = [_row(result, case, dataset, pred) for result, case in matched]
    summary = summarize_screening(rows)
    summary["num_without_truth"] = len(results["cases"]) - len(rows)
    metrics = {"summary": summary, "rows": rows}
    json_io.write_json(out / "metrics.json", metrics)
    write_csv(out / "rows.csv", rows)
    atomic.write_text(out / "report.html", evaluation_page(metrics, results, pred))
    return metrics


def _row(result: Mapping[str, Any], case: Case, dataset: Dataset, pred: Path) -> dict[str, Any]:
    """What is known of one case; a failed one keeps its truth and has no prediction."""
    true = read_truth(case, dataset)
    tumor = true.array == TUMOR
    row = {
        "id": result["id"],
        "patient": case.patient,
        "abnormal": bool(tumor.any()),
        "true_tumor_ml": np.count_nonzero(tumor) * true.voxel_mm3 / 1000,
        "status": result["status"],
    }
    if result["status"] != "done":
        return row
    path = pred / "cases" / result["id"] / "segmentation.nii.gz"
    label = require_same_grid(true, nifti.read_label(path), case.label, path).array
    pancreas_dsc = dice(label != BACKGROUND, true.array != BACKGROUND)
    kind = "abnormal" if row["abnormal"] else "normal"
    return row | {
        "called": result["decision"] == "PDAC",
        "score": result["score"],
        "tumor_ml": result["tumor_ml"],
        "tumor_dsc": dice(label == TUMOR, tumor) if row["abnormal"] else float("nan"),
        "pancreas_dsc": pancreas_dsc,
        f"{kind}_pancreas_dsc": pancreas_dsc,
        "seconds": result["seconds"],
    }


def read_truth(case: Case, dataset: Dataset) -> Volume:
    """Annotation of a case with our ids, in the orientation of its file."""
    label = nifti.read_label(case.label)
    check_ids(label, dataset.label_ids.values(), case.label)
    return label.with_array(lookup(dataset.label_ids, dataset.root, needed=NAMES)[label.array])


def summarize_screening(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Aggregates over cases: Table 1's columns, AUC, and intervals of 95 %.

    A failed case counts in `num_failed` and nowhere else. Tumor DSC is over abnormal cases; a miss
    is an abnormal case with tumor DSC 0 (Table 1).
    """
    done = [row for row in rows if row["status"] == "done"]
    called = np.array([row["called"] for row in done], bool)
    abnormal = np.array([row["abnormal"] for row in done], bool)
    scores = np.array([row["score"] for row in done], float)
    counts = confusion_counts(called, abnormal)
    names = [name for name in DSC_NAMES if any(name in row for row in done)]
    summary: dict[str, Any] = {
        "num_cases": len(rows),
        "num_failed": len(rows) - len(done),
        "num_abnormal": int(abnormal.sum()),
        "num_normal": int((~abnormal).sum()),
        "sensitivity": sensitivity(counts),
        "specificity": specificity(counts),
        "sensitivity_ci": wilson_interval(counts.true_positive, int(abnormal.sum())),
        "specificity_ci": wilson_interval(counts.true_negative, int((~abnormal).sum())),
        "auc": auc(scores, abnormal),
        "auc_ci": delong_interval(scores, abnormal),
        "num_true_positive": counts.true_positive,
        "num_true_negative": counts.true_negative,
        "num_misses": sum(row["tumor_dsc"] == 0 for row in done),
        **summarize(done, names),
    }
    for name in names:
        summary[f"{name}_ci"] = bootstrap_interval(column(done, name), seed=BOOTSTRAP_SEED)
    return summary | {"dsc": summary.get("pancreas_dsc")}


def _stem(path: str | Path) -> str:
    name = Path(path).name
    return name.removesuffix(".gz").removesuffix(".nii")
