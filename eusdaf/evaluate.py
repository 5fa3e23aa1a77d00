"""Predictions against truth: a row per picture, every figure of the paper, and its statistics."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from core import atomic, json_io
from core.datasets.images import read_case
from core.io.image.mask import read_mask, read_probability
from core.metrics import pixel_roc, surface
from core.metrics.classification import precision, sensitivity, specificity
from core.metrics.compare import bootstrap_interval
from core.metrics.overlap import confusion_counts, dice, iou
from core.metrics.pixel_roc import ScoreHistogram
from core.metrics.rows import Row, column, summarize, write_csv
from core.preprocess.resize import resize_mask
from core.report.results import read as read_results
from eusdaf.evaluation_page import evaluation_page
from eusdaf.matching import Matched, match
from eusdaf.statistics import statistics

MEASURES = ("dsc", "iou", "avd", "hd", "mad", "sensitivity", "specificity", "precision")
"""Columns of Table 2, in its order."""
SUCCESS_IOU = 0.5
"""A segmentation has succeeded above it (Sec. 4)."""
GRID = 256
"""Pixels a side at which everything is compared (Sec. 2.3)."""
BOOTSTRAP_SEED = 0

Mask = Bool[np.ndarray, "h w"]


class Evaluated(NamedTuple):
    """What is known of one picture: its row, and its pixels by probability where there is a map."""

    row: dict[str, Any]
    pixels: ScoreHistogram | None


def evaluate(preds: Sequence[Path], truth: Path, out: Path) -> dict[str, Any]:
    """Compare outputs of `eusdaf segment` with an annotated data set.

    Args:
      preds: outputs, such as one for each fold.
      truth: data set that holds the segmented pictures.
      out: gets metrics.json, rows.csv and report.html.

    Returns:
      Content of metrics.json: {"summary": {name: number}, "rows": [one per picture], …}.

    Raises:
      InputError: no segmentation in `preds`, or none of its pictures is annotated in `truth`.
    """
    segmented = {pred: read_results(pred, "eusdaf segment") for pred in preds}
    matched = match(segmented, truth)
    evaluated = [_evaluate_one(one) for one in matched]
    rows = [one.row for one in evaluated]
    pixels = [one.pixels for one in evaluated]
    pooled = pixel_roc.pool(pixels) if all(pixels) else None  # type: ignore[arg-type]
    metrics = {
        "summary": summarize_segmentation(rows, pooled),
        "folds": by_fold(rows),
        "statistics": statistics(rows),
        "rows": rows,
    }
    json_io.write_json(out / "metrics.json", metrics)
    write_csv(out / "rows.csv", rows)
    page = evaluation_page(metrics, pooled, segmented, matched)
    atomic.write_text(out / "report.html", page)
    return metrics


def _evaluate_one(one: Matched) -> Evaluated:
    frame, true = read_case(one.case)
    truth = resize_mask(true.array, (GRID, GRID))
    row: dict[str, Any] = {
        "id": one.result["id"],
        "patient": one.case.patient,
        "fold": one.fold,
        "stage": one.case.stage,
        "location": one.case.location,
        "category": one.case.category,
        "has_lesion": bool(truth.any()),
        "status": one.result["status"],
    }
    if one.result["status"] != "done":
        return Evaluated(row, None)
    pred = read_mask([one.folder / "mask.png"], shape=frame.shape).array
    row |= measures(resize_mask(pred, (GRID, GRID)), truth)
    path = one.folder / "probability.png"
    if not path.is_file():
        return Evaluated(row, None)
    probs = read_probability(path)
    shape = (probs.shape[0], probs.shape[1])
    return Evaluated(row, pixel_roc.histogram(probs, resize_mask(true.array, shape)))


def measures(pred: Mask, true: Mask) -> dict[str, float | bool]:
    """Every figure of Sec. 2.5 for one picture; distances in pixels.

    Where the truth is empty all but the specificity are undefined. Where only the prediction is
    empty, overlap is 0, the precision is undefined, and distances are the diagonal of the picture.
    """
    counts, nan = confusion_counts(pred, true), float("nan")
    found = {
        "specificity": specificity(counts),
        "predicted": bool(pred.any()),
    }
    if not true.any():
        return dict.fromkeys(MEASURES, nan) | found
    distances = surface.surface_distances(pred, true)
    farthest = float(np.hypot(*true.shape))
    overlap = iou(pred, true)
    return found | {
        "dsc": dice(pred, true),
        "iou": overlap,
        "avd": min(surface.average_distance(distances), farthest),
        "hd": min(surface.hausdorff(distances), farthest),
        "mad": min(surface.mean_absolute_distance(distances), farthest),
        "sensitivity": sensitivity(counts),
        "precision": precision(counts),
        "success": overlap > SUCCESS_IOU,
    }


def summarize_segmentation(rows: Sequence[Row], pooled: ScoreHistogram | None) -> dict[str, Any]:
    """Aggregates over pictures; a failed one counts in `num_failed` and nowhere else."""
    done = [row for row in rows if row["status"] == "done"]
    lesions = [row for row in done if row["has_lesion"]]
    normal = [row for row in done if not row["has_lesion"]]
    summary: dict[str, Any] = {
        "num_pictures": len(rows),
        "num_failed": len(rows) - len(done),
        "num_lesions": len(lesions),
        "num_missed": sum(not row["predicted"] for row in lesions),
        "num_normal": len(normal),
        "num_false_alarms": sum(row["predicted"] for row in normal),
        "auc": float("nan") if pooled is None else pixel_roc.area(pooled),
        "auc_error": float("nan") if pooled is None else pixel_roc.area_error(pooled),
        **(summarize(done, [*MEASURES, "success"]) if lesions else {}),
    }
    for name in MEASURES if lesions else ():
        summary[f"{name}_ci"] = bootstrap_interval(column(done, name), seed=BOOTSTRAP_SEED)
    return summary


def by_fold(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Means of each fold; the paper averages these over the folds (Sec. 2.5)."""
    done = [row for row in rows if row["status"] == "done"]
    numbers = dict.fromkeys(row["fold"] for row in done if row["has_lesion"])
    folds = []
    for number in sorted(numbers, key=lambda n: (n is None, n)):
        own = [row for row in done if row["fold"] == number]
        means = {name: summarize(own, [name])[name] for name in (*MEASURES, "success")}
        folds.append({"fold": number, "num_pictures": len(own), **means})
    return folds
