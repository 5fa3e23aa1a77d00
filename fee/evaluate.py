"""Diagnoses against truth: a row per study, then the figures of the paper's tables."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import json_io
from core.commands import evaluate as evaluation
from core.commands.evaluate import Paper, Prediction, Truth
from core.datasets.pancreas import TUMOR
from core.errors import InputError
from core.io import nifti
from core.io.labels import require_same_grid
from core.metrics.classification import accuracy, auc, f1, precision, sensitivity, specificity
from core.metrics.compare import bootstrap_interval, delong_interval, f1_interval, wilson_interval
from core.metrics.overlap import Counts, confusion_counts, mean_iou, ratio, total
from core.metrics.rows import Row, column, summarize
from core.volume import Volume, canonical
from fee.dataset_readers import AnnotatedPatient, SeriesMask, match_masks, read_truths
from fee.evaluation_page import evaluation_page

logger = logging.getLogger(__name__)

BOOTSTRAP_SEED = 0
SEGMENTATION = "segmentation.nii.gz"
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


def evaluate(preds: Sequence[Path], truths: Sequence[Path], out: Path) -> dict[str, Any]:
    """Compare outputs of `fee diagnose` with annotated data sets.

    Args:
      preds: outputs; parts of one data set are pooled, both rules stand side by side.
      truths: cohorts, nnU-Net, MSD or PANORAMA folders, or NIH Pancreas-CT, that hold the patients.
      out: gets metrics.json, rows.csv and report.html.

    Returns:
      Content of metrics.json: {"summary": {name: number}, "groups": …, "rows": [one per study]}.

    Raises:
      InputError: no diagnosis in `preds`, or none of its patients is annotated in `truths`.
    """
    annotated = [truth for root in truths for truth in read_truths(root)]
    metrics, matched = evaluation.evaluate(PAPER, preds, annotated)
    page = evaluation_page(metrics, [match.prediction for match in matched])
    evaluation.write(out, metrics, page)
    return metrics


def _same(prediction: Prediction, truth: Truth[AnnotatedPatient]) -> bool:
    """An image is told by its grid; the folder of a patient by its name, if that comes once."""
    if not truth.case.is_image:
        return True
    masks, _ = match_masks(_series(prediction)[1], truth.case.masks)
    return any(isinstance(mask, SeriesMask) for mask in masks)


def _series(prediction: Prediction) -> tuple[list[Mapping[str, Any]], list[tuple[str, Volume]]]:
    """Diagnosed series of a case, and the phase and grid of each."""
    phases = json_io.read_json(prediction.folder / "prediction.json")["phases"]
    done = [phase for phase in phases if phase["status"] == "done"]
    paths = [prediction.folder / phase["name"] / SEGMENTATION for phase in done]
    grids = [nifti.read_grid(path) for path in paths]
    return done, [(phase["phase"], grid) for phase, grid in zip(done, grids, strict=True)]


def _measure(truth: Truth[AnnotatedPatient], prediction: Prediction | None) -> dict[str, Any]:
    patient = truth.case
    tumor = patient.tumor
    if tumor is None:  # of one image, whose mask tells
        tumor = any(bool((mask.read().array == TUMOR).any()) for mask in patient.masks)
    row: dict[str, Any] = {
        "tumor": tumor,
        "tumor_type": patient.tumor_type if tumor else "",
        "has_mask": bool(patient.masks),
    }
    if prediction is None:
        return row
    case = prediction.row
    if case["study"]:
        raise InputError(
            "is an older study of its patient, about whom the table tells one answer",
            path=prediction.folder,
        )
    called = case["decision"] == "tumor"
    series, grids = _series(prediction)
    probs = [s["tumor"] for one in series for s in one["slices"] if s["tumor"] is not None]
    threshold = prediction.results["threshold"]
    return row | {
        "called": called,
        "right": called == tumor,
        "score": case["score"],
        "num_slices": case["num_slices"],
        "num_kept": case["num_kept"],
        "num_empty": case["num_empty"],
        "num_diagnosed": len(probs),
        "num_right_diagnosed": sum((prob >= threshold) == tumor for prob in probs),
        "num_used": case["num_used"],
        "num_files": case["num_used"] + case["num_skipped"] + case["num_error"],
        **_against_masks(patient, series, grids, prediction.folder),
    }


def _against_masks(
    patient: AnnotatedPatient,
    series: Sequence[Mapping[str, Any]],
    grids: Sequence[tuple[str, Volume]],
    folder: Path,
) -> dict[str, Any]:
    """Pancreas and located slices of the series that are annotated, all voxels together.

    A mask that does not fit costs its series alone.
    """
    voxels, slices = Counts(0, 0, 0, 0), Counts(0, 0, 0, 0)
    matched, _ = match_masks(grids, patient.masks)
    num_annotated, errors = 0, []
    for one, mask in zip(series, matched, strict=True):
        if mask is None:
            continue
        try:
            if isinstance(mask, InputError):
                raise mask
            path = folder / one["name"] / SEGMENTATION
            pred = canonical(nifti.read_label(path))
            true: NDArray = require_same_grid(pred, mask.read(), path, mask.path).array > 0
        except InputError as error:
            logger.error("%s", error)
            errors.append(str(error))
            continue
        num_annotated += 1
        voxels = total((voxels, confusion_counts(pred.array > 0, true)))
        located = np.array([s["located"] for s in one["slices"]])
        slices = total((slices, confusion_counts(located, np.asarray(true.any(axis=(1, 2))))))
    row: dict[str, Any] = {
        "num_annotated_series": num_annotated,
        "dsc": f1(voxels),  # of voxels, F1 is the Dice coefficient
        "miou": mean_iou(voxels),
        "num_annotated_slices": sum(slices),
        "num_right_slices": slices.true_positive + slices.true_negative,
    }
    return row | ({"mask_error": "; ".join(errors)} if errors else {})


def _as_error(row: Row) -> dict[str, Any]:
    """A patient without an answer is called wrongly, and nothing of it is segmented."""
    overlap = 0.0 if row["has_mask"] else float("nan")
    wrong = {"called": not row["tumor"], "right": False, "score": float(not row["tumor"])}
    return {**dict.fromkeys(COUNTED, 0), **wrong, "dsc": overlap, "miou": overlap}


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


PAPER = Paper(
    command="fee diagnose",
    group=lambda results: results["rule"],
    same=_same,
    measure=_measure,
    as_error=_as_error,
    summarize=summarize_patients,
)
