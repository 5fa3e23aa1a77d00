"""Diagnoses against truth: a row per patient, then the figures of the paper's tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core import atomic, json_io
from core.datasets.patients import Patient, read_patients
from core.errors import InputError
from core.io import nifti
from core.io.labels import check_ids, require_same_grid
from core.metrics.classification import f1
from core.metrics.overlap import Counts, confusion_counts, mean_iou, total
from core.metrics.rows import write_csv
from core.report.results import read as read_results
from core.volume import canonical
from fee.evaluation_page import evaluation_page
from fee.infer import ENDINGS
from fee.summary import by_type, summarize_patients

SEGMENTATION = "segmentation.nii.gz"
IDS = (0, 1, 2)
"""Of a mask: background, pancreas, tumor."""


class Matched(NamedTuple):
    """A diagnosed patient whose truth is known."""

    patient: Patient
    case: Mapping[str, Any]
    """Of results.json."""
    pred: Path
    """The output that it is of."""
    threshold: float
    """Probability from which a slice is one of a tumor."""


def evaluate(preds: Sequence[Path], truth: Path, out: Path) -> dict[str, Any]:
    """Compare outputs of `fee diagnose` with a cohort.

    Args:
      preds: outputs; patients are matched by the name of their folder or file.
      truth: cohort with patients.csv, and masks/ of some or all series.
      out: gets metrics.json, rows.csv and report.html.

    Returns:
      Content of metrics.json: {"summary": {name: number}, "rows": [one per patient]}.

    Raises:
      InputError: no diagnosis in `preds`, none of a patient of the cohort, or two of one.
    """
    diagnosed = {pred: read_results(pred, "fee diagnose") for pred in preds}
    matched, num_others = _match(diagnosed, truth)
    rows = [_row(one) for one in matched]
    metrics = {
        "summary": {**summarize_patients(rows), "num_without_truth": num_others},
        "types": by_type(rows),
        "rows": rows,
    }
    json_io.write_json(out / "metrics.json", metrics)
    write_csv(out / "rows.csv", rows)
    page = evaluation_page(metrics, [(one.case, one.pred) for one in matched], diagnosed)
    atomic.write_text(out / "report.html", page)
    return metrics


def _match(diagnosed: Mapping[Path, Mapping[str, Any]], truth: Path) -> tuple[list[Matched], int]:
    """Diagnosed patients of the cohort, and the number of the others."""
    known = {p.id: p for p in read_patients(truth).patients if p.tumor is not None}
    matched: dict[str, Matched] = {}
    num_others = 0
    for pred, results in diagnosed.items():
        for case in results["cases"]:
            if (name := _name(case["input"])) not in known:
                num_others += 1
            elif name in matched:
                raise InputError(f"holds a second diagnosis of {name}", path=pred, hint="give one")
            else:
                matched[name] = Matched(known[name], case, pred, results["threshold"])
    if not matched:
        raise InputError(
            f"none of the {num_others} diagnosed patients is in {truth}",
            path=next(iter(diagnosed)),
            hint="patients are matched by the name of their folder",
        )
    return list(matched.values()), num_others


def _name(path: str) -> str:
    name = Path(path).name
    return next((name.removesuffix(e) for e in ENDINGS if name.endswith(e)), name)


def _row(one: Matched) -> dict[str, Any]:
    """What is known of one patient; a failed one keeps its truth and has no answer."""
    patient, case = one.patient, one.case
    row: dict[str, Any] = {
        "id": case["id"],
        "patient": patient.id,
        "tumor": patient.tumor,
        "tumor_type": patient.tumor_type if patient.tumor else "",
        "status": case["status"],
    }
    if case["status"] != "done":
        return row
    folder = one.pred / "cases" / case["id"]
    phases = json_io.read_json(folder / "prediction.json")["phases"]
    done = [phase for phase in phases if phase["status"] == "done"]
    called = case["decision"] == "tumor"
    tumor = [s["tumor"] for phase in done for s in phase["slices"] if s["tumor"] is not None]
    return row | {
        "called": called,
        "right": called == patient.tumor,
        "score": case["score"],
        "num_slices": case["num_slices"],
        "num_kept": case["num_kept"],
        "num_right_kept": sum((prob >= one.threshold) == patient.tumor for prob in tumor),
        "num_used": case["num_used"],
        "num_files": case["num_used"] + case["num_skipped"] + case["num_error"],
        **_against_masks(patient, done, folder),
        "seconds": case["seconds"],
    }


def _against_masks(
    patient: Patient, phases: Sequence[Mapping[str, Any]], folder: Path
) -> dict[str, Any]:
    """Pancreas and located slices of the series that are annotated, all voxels together."""
    voxels, slices = Counts(0, 0, 0, 0), Counts(0, 0, 0, 0)
    annotated = [phase for phase in phases if phase["phase"] in patient.masks]
    for phase in annotated:
        path, pred_path = patient.masks[phase["phase"]], folder / phase["name"] / SEGMENTATION
        label = canonical(nifti.read_label(path))
        check_ids(label, IDS, path)
        pred = require_same_grid(label, nifti.read_label(pred_path), path, pred_path).array > 0
        true, kept = label.array > 0, np.array([s["tumor"] is not None for s in phase["slices"]])
        voxels = total((voxels, confusion_counts(pred, true)))
        slices = total((slices, confusion_counts(kept, np.array([one.any() for one in true]))))
    return {
        "num_annotated_series": len(annotated),
        "dsc": f1(voxels),  # of voxels, F1 is the Dice coefficient
        "miou": mean_iou(voxels),
        "num_annotated_slices": sum(slices),
        "num_right_slices": slices.true_positive + slices.true_negative,
    }
