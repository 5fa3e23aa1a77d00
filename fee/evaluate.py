"""Diagnoses against truth: a row per study, then the figures of the paper's tables."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core import cli, json_io
from core.commands import evaluate as evaluation
from core.commands.evaluate import Paper, Prediction, Truth
from core.datasets.pancreas import IGNORE, TUMOR, in_pancreas, pancreas_labels
from core.datasets.patients import Patient
from core.datasets.series_masks import SeriesMask, match_masks
from core.errors import InputError
from core.io import nifti
from core.io.labels import require_same_grid
from core.metrics.classification import f1
from core.metrics.overlap import Counts, confusion_counts, mean_iou, total
from core.metrics.rows import Row
from core.volume import Volume, canonical
from fee.annotated_patients import read_truths
from fee.evaluation_page import evaluation_page, system_table
from fee.metrics import COUNTED, summarize_patients

logger = logging.getLogger(__name__)

SEGMENTATION = "segmentation.nii.gz"


def evaluate(
    preds: cli.Preds, truths: cli.Truths, out: Path, *, labels: str | None = None
) -> dict[str, Any]:
    """Compare diagnoses with the truth: Tables 1 to 3 and Figure 6 beside the paper's.

    Args:
      preds: the --out of `diagnose`; parts of one data set are pooled, rules stand side by side.
      truths: cohorts, or data sets of volumes as `prepare` reads them, that hold the patients.
      out: gets metrics.json, rows.csv and report.html.
      labels: what label names of volumes mean, as of `prepare`.

    Returns:
      Content of metrics.json: {"summary": {name: number}, "groups": …, "rows": [one per study]}.

    Raises:
      InputError: no diagnosis in `preds`, or none of its patients is annotated in `truths`.
    """
    words = pancreas_labels(labels)
    annotated = [truth for root in truths for truth in read_truths(root, words)]
    metrics, matched = evaluation.evaluate(PAPER, preds, annotated)
    page = evaluation_page(metrics, [match.prediction for match in matched])
    evaluation.write(out, metrics, page, system_table(metrics))
    return metrics


def _same(prediction: Prediction, truth: Truth[Patient]) -> bool:
    """An image is told by its grid; the folder of a patient by its name, if that comes once."""
    if all(mask.phase for mask in truth.case.masks):
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


def _measure(truth: Truth[Patient], prediction: Prediction | None) -> dict[str, Any]:
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
    probs = [s["tumor"] for phase in series for s in phase["slices"] if s["tumor"] is not None]
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
    patient: Patient,
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
    for phase, mask in zip(series, matched, strict=True):
        if mask is None:
            continue
        try:
            if isinstance(mask, InputError):
                raise mask
            path = folder / phase["name"] / SEGMENTATION
            pred = canonical(nifti.read_label(path))
            label = require_same_grid(pred, mask.read(), path, mask.path).array
        except InputError as error:
            logger.error("%s", error)
            errors.append(str(error))
            continue
        num_annotated += 1
        true, annotated = in_pancreas(label), label != IGNORE
        voxels = total((voxels, confusion_counts((pred.array > 0)[annotated], true[annotated])))
        located = np.array([s["located"] for s in phase["slices"]])
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


PAPER = Paper(
    command="fee diagnose",
    group=lambda results: results["rule"],
    same=_same,
    measure=_measure,
    as_error=_as_error,
    summarize=summarize_patients,
)
