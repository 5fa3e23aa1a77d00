"""Predictions against truth: a row per picture, every figure of the paper, and its statistics."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from core import cli
from core.commands import evaluate as evaluation
from core.commands.evaluate import Paper, Prediction, Truth, headline_of_first
from core.datasets.case import ImageCase
from core.datasets.images import read_case
from core.io.image.mask import read_probability, read_written_mask
from core.io.image.still import read_image
from core.io.images import read_frames, source_of
from core.metrics import pixel_roc, surface
from core.metrics.classification import precision, sensitivity, specificity
from core.metrics.intervals import bootstrap_interval
from core.metrics.overlap import confusion_counts, dice, iou
from core.metrics.pixel_roc import ScoreHistogram
from core.metrics.rows import Row, column, summarize
from core.preprocess.resize import resize_mask
from eusdaf.config import check_lesion_value
from eusdaf.evaluation_page import MEASURES, evaluation_page, table_2
from eusdaf.prepare import read_data_sets
from eusdaf.statistics import statistics

SUCCESS_IOU = 0.5
"""A segmentation has succeeded above it (Sec. 4)."""
GRID = 256
"""Pixels a side at which everything is compared (Sec. 2.3)."""
BOOTSTRAP_SEED = 0
WORST = {
    **dict.fromkeys(("dsc", "iou", "sensitivity", "specificity", "precision"), 0.0),
    **dict.fromkeys(("avd", "hd", "mad"), float(np.hypot(GRID, GRID))),
}

Mask = Bool[np.ndarray, "h w"]


class Pixels(NamedTuple):
    """Pixels of one network's pictures, by probability and truth, and of how many pictures."""

    histogram: ScoreHistogram
    num_pictures: int

    def plus(self, histogram: ScoreHistogram) -> "Pixels":
        """With those of another picture."""
        return Pixels(pixel_roc.pool([self.histogram, histogram]), self.num_pictures + 1)


NO_PIXELS = Pixels(pixel_roc.pool([]), 0)


def evaluate(
    preds: cli.Preds, truths: cli.Truths, out: Path, *, lesion_value: str | None = None
) -> dict[str, Any]:
    """Compare segmentations with annotated data: Table 2, ROC, statistics, all pictures.

    Args:
      preds: the --out of `segment`; folds of a network are pooled, networks stand side by side.
      truths: data sets that hold the segmented pictures.
      out: gets metrics.json, rows.csv and report.html.
      lesion_value: of masks with several values, that of the lesion: a gray or an id of a palette,
        2, or a color, #ff0000.

    Returns:
      Content of metrics.json: {"summary": {name: number}, "groups": {network: summary}, "rows":
      [one per picture], "statistics": [one per test of the first network]}.

    Raises:
      InputError: no segmentation in `preds`, or none of its pictures is annotated in `truths`.
    """
    if lesion_value is not None:
        with cli.user_values():
            check_lesion_value(lesion_value)
    annotated = [
        Truth(case.patient, case.image, (), case)
        for data in read_data_sets(truths, lesion_value=lesion_value)
        for case in data.cases
    ]
    pixels: dict[str, Pixels] = {}
    metrics, matched = evaluation.evaluate(_paper(pixels), preds, annotated)
    groups = {
        name: summary | _roc(pixels.get(name, NO_PIXELS))
        for name, summary in metrics["groups"].items()
    }
    metrics |= {
        "summary": metrics["summary"] | next(iter(groups.values())),
        "groups": groups,
        "statistics": statistics(headline_of_first(metrics)),
    }
    histograms = {name: of_network.histogram for name, of_network in pixels.items()}
    page = evaluation_page(metrics, histograms, matched)
    evaluation.write(out, metrics, page, table_2(metrics))
    return metrics


def _paper(pixels: dict[str, Pixels]) -> Paper:
    """How this paper evaluates; `pixels` grows with every picture that is measured."""
    return Paper(
        command="eusdaf segment",
        group=lambda results: results["network"],
        same=_same_size,
        measure=partial(_measure, pixels),
        as_error=_as_error,
        summarize=summarize_segmentation,
    )


def _same_size(prediction: Prediction, truth: Truth[ImageCase]) -> bool:
    if prediction.row["num_frames"] > 1:
        return False
    frame = next(read_frames(source_of(truth.path)))
    return read_image(prediction.folder / "mask.png").shape == frame.shape


def _measure(
    pixels: dict[str, Pixels], truth: Truth[ImageCase], prediction: Prediction | None
) -> dict[str, Any]:
    case = truth.case
    frame, annotated = read_case(case)
    true = resize_mask(annotated, (GRID, GRID))
    row = {
        "stage": case.stage,
        "location": case.location,
        "category": case.category,
        "has_lesion": bool(true.any()),
    }
    if prediction is None:
        return row
    pred = read_written_mask(prediction.folder / "mask.png", shape=frame.shape)
    path, group = prediction.folder / "probability.png", prediction.group
    if path.is_file() and prediction.row["part"] not in ("train", "val"):
        probs = read_probability(path)
        height, width = probs.shape
        true_pixels = resize_mask(annotated, (height, width))
        histogram = pixel_roc.histogram(probs, true_pixels)
        pixels[group] = pixels.get(group, NO_PIXELS).plus(histogram)
    return row | measures(resize_mask(pred, (GRID, GRID)), true)


def measures(pred: Mask, true: Mask) -> dict[str, float | bool]:
    """Every figure of Sec. 2.5 for one picture; distances in pixels.

    Where the truth is empty all but the specificity are undefined. Where only the prediction is
    empty, overlap is 0, the precision is undefined, and distances are the diagonal of the picture.
    """
    counts = confusion_counts(pred, true)
    always = {"specificity": specificity(counts), "predicted": bool(pred.any())}
    if not true.any():
        return dict.fromkeys((*MEASURES, "success"), float("nan")) | always
    distances = surface.surface_distances(pred, true)
    farthest = float(np.hypot(*true.shape))
    overlap = iou(pred, true)
    return always | {
        "dsc": dice(pred, true),
        "iou": overlap,
        "avd": min(surface.average_distance(distances), farthest),
        "hd": min(surface.hausdorff(distances), farthest),
        "mad": min(surface.mean_absolute_distance(distances), farthest),
        "sensitivity": sensitivity(counts),
        "precision": precision(counts),
        "success": overlap > SUCCESS_IOU,
    }


def _as_error(row: Row) -> dict[str, Any]:
    """A picture without an answer has the worst of every measure: a miss, or a false alarm."""
    if row["has_lesion"]:
        return {**WORST, "predicted": False, "success": False}
    undefined = dict.fromkeys((*MEASURES, "success"), float("nan"))
    return {**undefined, "specificity": 0.0, "predicted": True}


def summarize_segmentation(rows: Sequence[Row]) -> dict[str, Any]:
    """Aggregates over pictures of one network; intervals of 95 % over patients."""
    lesions = [row for row in rows if row["has_lesion"]]
    normal = [row for row in rows if not row["has_lesion"]]
    patients = [row["patient"] for row in rows]
    intervals = {
        f"{name}_ci": bootstrap_interval(column(rows, name), seed=BOOTSTRAP_SEED, groups=patients)
        for name in MEASURES
    }
    return {
        "num_lesions": len(lesions),
        "num_missed": sum(not row["predicted"] for row in lesions),
        "num_normal": len(normal),
        "num_false_alarms": sum(row["predicted"] for row in normal),
        "num_patients": len(set(patients)),
        **summarize(rows, [*MEASURES, "success"]),
        **intervals,
        "folds": by_fold(rows),
    }


def by_fold(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Means of each fold; the paper averages these over the folds (Sec. 2.5)."""
    numbers = {row["fold"] for row in rows if row["has_lesion"]}
    folds = []
    for number in sorted(numbers, key=lambda n: (n is None, n)):
        in_fold = [row for row in rows if row["fold"] == number]
        summary = summarize(in_fold, [*MEASURES, "success"])
        means = {name: summary[name] for name in (*MEASURES, "success")}
        folds.append({"fold": number, "num_pictures": len(in_fold), **means})
    return folds


def _roc(pixels: Pixels) -> dict[str, float | int]:
    """Area under the ROC curve of all pixels of the pictures that have a probability map."""
    return {
        "auc": pixel_roc.area(pixels.histogram),
        "auc_error": pixel_roc.area_error(pixels.histogram),
        "auc_num_pictures": pixels.num_pictures,
    }
