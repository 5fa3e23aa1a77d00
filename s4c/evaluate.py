"""Predictions against truth: a row per case, Tables 1 and 2, and the ROC curve of Fig. 4."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core import cli
from core.commands import evaluate as evaluation
from core.commands import results
from core.commands.evaluate import Paper, Prediction, Truth
from core.datasets.channels import Phase
from core.datasets.pancreas import TUMOR, pancreas_labels
from core.datasets.pancreas_cases import read_phase
from core.datasets.pancreas_layouts import PancreasCase
from core.errors import InputError
from core.io import nifti
from core.io.labels import require_same_grid
from core.metrics.rows import Row
from core.report.table import to_text
from core.volume import reorient, same_grid
from s4c.evaluation_page import evaluation_page
from s4c.evaluation_tables import BOTH, table_1, table_2
from s4c.overlap import overlap
from s4c.summary import summarize_screening

COMMAND = "s4c screen"
SEGMENTATION = "segmentation.nii.gz"
COUNTS = ("num_tumor_voxels", "num_duct_voxels")
"""Of the rule that calls a scan."""


def evaluate(
    preds: cli.Preds, truths: cli.Truths, out: Path, *, labels: str | None = None
) -> dict[str, Any]:
    """Compare screenings with annotated data: Table 1, ROC curve, a row per case.

    Of screenings of two contrast phases each phase is judged for itself (PNET Table 1), and what
    both say together (PNET Table 2).

    Args:
      preds: the --out of `screen`; several where each fold, or row of Table 1, has its own.
      truths: data sets, as `prepare` reads them, that hold the screened scans.
      out: gets metrics.json, rows.csv and report.html.
      labels: what label names mean, as of `prepare`.

    Returns:
      Content of metrics.json: {"summary": {name: number}, "groups": …, "rows": [one per case]}.

    Raises:
      InputError: no screening in `preds`, or none of its scans is annotated in `truths`.
    """
    positive, rule, phases = _what_was_screened(preds)
    # A data set of one channel is of either phase.
    annotated = {
        case.image: _truth(case)
        for phase in phases
        for data in read_phase(truths, phase, labels=pancreas_labels(labels))
        for case in data.cases
    }
    metrics, matched = evaluation.evaluate(PAPER, preds, list(annotated.values()))
    metrics |= {"positive": positive, "rule": rule}
    page = evaluation_page(metrics, [match.prediction for match in matched])
    evaluation.write(out, metrics, page, table_1(metrics))
    if both := table_2(metrics):
        print(to_text(both), end="")
    return metrics


def _what_was_screened(
    preds: Sequence[Path],
) -> tuple[str, Mapping[str, int], list[Phase | None]]:
    """What an abnormal scan is called, by which rule, and the contrast phases of all screenings."""
    written = {pred: results.read(pred, COMMAND) for pred in preds}
    calls = {pred: content["positive"] for pred, content in written.items()}
    first, positive = next(iter(calls.items()))
    for pred, other in calls.items():
        if other != positive:
            raise InputError(f"tells {other} from normal, {first} tells {positive}", path=pred)
    phases = [phase for content in written.values() for phase in content["phases"] or (None,)]
    return positive, written[first]["rule"], list(dict.fromkeys(phases))


def _truth(case: PancreasCase) -> Truth[PancreasCase]:
    return Truth(case.patient, case.image, (case.id,), case)


def _group(written: Mapping[str, Any]) -> str:
    """Name of a system: its phases where it looks at some, and its networks."""
    phases = written["phases"]
    words = [BOTH if len(phases) > 1 else "".join(phases), written["system"]]
    return ", ".join(word for word in words if word)


def _parts(prediction: Prediction) -> list[Prediction]:
    """What both phases say together, and what each says for itself."""
    written = prediction.results
    if len(written["phases"]) < 2:
        return [prediction]
    parts = [prediction]
    for phase in written["phases"]:
        group = f"{phase}, {written['system']}"
        row = dict(prediction.row)
        if row["status"] != "done":
            parts.append(prediction._replace(group=group))
        elif phase in (of_phase := row.pop("phases")):
            folder = prediction.folder / phase
            row = {**row, **of_phase[phase], "decided_by": ""}
            parts.append(prediction._replace(row=row, folder=folder, group=group))
    return parts


def _same_grid(prediction: Prediction, truth: Truth[PancreasCase]) -> bool:
    grid = nifti.read_grid(_segmentation(prediction))
    return same_grid(grid, reorient(truth.case.read_label(), grid.direction))


def _segmentation(prediction: Prediction) -> Path:
    """Of the phase that decided, where two did."""
    return prediction.folder / prediction.row.get("decided_by", "") / SEGMENTATION


def _measure(truth: Truth[PancreasCase], prediction: Prediction | None) -> dict[str, Any]:
    true = truth.case.read_label()
    tumor = true.array == TUMOR
    row = {
        "abnormal": bool(tumor.any()),
        "true_tumor_ml": np.count_nonzero(tumor) * true.voxel_mm3 / 1000,
    }
    if prediction is None:
        return row
    called = prediction.row["decision"] != "normal"
    row |= {"called": called, "score": prediction.row["score"]}
    row |= {name: prediction.row[name] for name in ("tumor_ml", *COUNTS)}
    if "phases" in prediction.row:  # a decision of two segmentations
        of_phases = prediction.row["phases"].values()
        row |= {name: max(scan[name] for scan in of_phases) for name in COUNTS}
        return row | _overlaps(row["abnormal"], float("nan"), float("nan"))
    path = _segmentation(prediction)
    label = require_same_grid(true, nifti.read_label(path), truth.path, path).array
    return row | _overlaps(row["abnormal"], *overlap(label, true.array))


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


PAPER = Paper(
    command=COMMAND,
    group=_group,
    same=_same_grid,
    measure=_measure,
    as_error=_as_error,
    summarize=summarize_screening,
    parts=_parts,
)
