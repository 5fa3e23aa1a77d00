"""Answers against truth: a row per patient, Tables III to VI, and how two systems differ."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from core import cli
from core.commands import evaluate as evaluation
from core.commands import results
from core.commands.evaluate import Paper, Prediction, Truth
from core.errors import InputError
from core.io import nifti
from core.io.labels import require_same_grid
from core.metrics import detection
from core.metrics.compare import median_bootstrap_wilcoxon, wilcoxon_signed_rank
from core.metrics.intervals import bootstrap_interval
from core.metrics.overlap import dice
from core.metrics.rows import Row, column, summarize
from core.volume import canonical, reorient, same_grid
from lnmet.cases import LabelledCase, read_cases
from lnmet.config import ORGANS
from lnmet.evaluation_page import evaluation_page, main_table
from lnmet.identification.evaluate import evaluate_identification
from lnmet.identification.identify import COMMAND as IDENTIFY
from lnmet.label_files import SEGMENTATION
from lnmet.labels import BACKGROUND, IGNORE, PDAC, has_target, organs_of
from lnmet.node_evaluation import (
    COMPARED,
    NODE_RATES,
    annotated_kinds,
    node_row,
    nothing_found,
    presence,
    segmented_kinds,
)
from lnmet.stage import COMMAND as STAGE
from lnmet.status.evaluate import evaluate_status

BOOTSTRAP_SEED = 0
PDAC_NAMES = ("pdac_dsc", "pdac_asd_mm", "pdac_hd_mm")


def organ_names(organ: str) -> tuple[str, str, str]:
    """Columns of an organ: overlap, average and largest distance of the surfaces (Table III)."""
    return f"{organ}_dsc", f"{organ}_asd_mm", f"{organ}_hd_mm"


def evaluate(preds: cli.Preds, truths: cli.Truths, out: Path) -> dict[str, Any]:
    """Compare answers with annotated data: Tables III and V, IV of `identify`, VI of `stage`.

    Args:
      preds: the --out of `segment`, `identify` or `stage`; several where each fold, or system, has
        its own.
      truths: nnU-Net raw or MSD data sets that hold the examinations; their status.csv, or their
        annotated nodes, tell who is metastasis-positive.
      out: gets metrics.json, rows.csv and report.html.

    Returns:
      Content of metrics.json: {"summary": {name: number}, "groups": …, "comparisons": …,
      "rows": [one per case]}; of `stage` also "status": figures of every method and tests of ours
      against the others.

    Raises:
      InputError: no answer in `preds`, answers of several commands, or none of their cases is
        annotated in `truths`.
    """
    annotated, command = annotated_truths(truths), _command(preds)
    if command == IDENTIFY:
        return evaluate_identification(preds, annotated, out)
    metrics, matched = evaluation.evaluate(PAPER, preds, annotated)
    metrics["comparisons"] = compare(metrics["rows"])
    if command == STAGE:
        metrics["status"] = evaluate_status(metrics, matched, truths)
    page = evaluation_page(metrics, [match.prediction for match in matched])
    evaluation.write(out, metrics, page, main_table(metrics))
    return metrics


def _command(preds: Sequence[Path]) -> str:
    """Command that wrote the outputs.

    Raises:
      InputError: they are of several commands.
    """
    commands = [results.read(p, PAPER.command).get("command", PAPER.command) for p in preds]
    for pred, command in zip(preds, commands, strict=True):
        if command != commands[0]:
            raise InputError(
                f"is by {command}, and {preds[0]} by {commands[0]}",
                path=pred,
                hint="evaluate them one by one",
            )
    return commands[0]


def annotated_truths(data: Sequence[Path]) -> list[Truth[LabelledCase]]:
    """Annotated cases of data sets, as predictions are matched with them."""
    cases = [case for root in data for case in read_cases(root).cases]
    return [Truth(case.patient, case.image, (case.id, *case.names), case) for case in cases]


def _same_grid(prediction: Prediction, truth: Truth[LabelledCase]) -> bool:
    grid = nifti.read_grid(prediction.folder / SEGMENTATION)
    return same_grid(grid, reorient(truth.case.read_label(), grid.direction))


def _measure(truth: Truth[LabelledCase], prediction: Prediction | None) -> dict[str, Any]:
    case, true = truth.case, truth.case.read_label()
    row: dict[str, Any] = dict(presence(true.array, case.annotated))
    if prediction is None:
        return row
    path = prediction.folder / SEGMENTATION
    label = require_same_grid(true, canonical(nifti.read_label(path)), truth.path, path)
    # What was not annotated is no false alarm.
    label = label.with_array(np.where(true.array == IGNORE, BACKGROUND, label.array))
    segmented = prediction.results["networks"]
    asked = segmented_kinds(segmented)
    kinds = [kind for kind in annotated_kinds(case.annotated) if kind in asked]
    row |= node_row(label.array, true.array, kinds)
    if has_target(case.annotated, "pdac") and "pdac" in segmented:
        row |= _named(PDAC_NAMES, label.array == PDAC, true.array == PDAC, true.spacing_mm)
    if "organs" in segmented:
        pred, organs = organs_of(label.array), organs_of(true.array)
        for id_ in sorted(case.annotated & set(range(1, PDAC))):
            names = organ_names(ORGANS[id_ - 1])
            row |= _named(names, pred == id_, organs == id_, true.spacing_mm)
    return row


def _named(
    names: tuple[str, str, str], pred: np.ndarray, true: np.ndarray, spacing_mm: Sequence[float]
) -> dict[str, float]:
    """Overlap and distances; distances to nothing are undefined."""
    distances = detection.surface_row(pred, true, spacing_mm)
    values = (dice(pred, true), distances["asd_mm"], distances["hd_mm"])
    return {
        name: value if np.isfinite(value) else float("nan")
        for name, value in zip(names, values, strict=True)
    }


def summarize_segmentation(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over patients of what was measured, medians of the tumor, intervals of 95 %."""
    known = {name for row in rows for name in row}
    names = [n for n in (*NODE_RATES, *PDAC_NAMES, *_all_organ_names()) if n in known]
    summary: dict[str, Any] = {
        "num_patients": len({row["patient"] for row in rows}),
        "num_examinations": len(rows),
        **summarize(rows, names),
    }
    for name in names:
        summary[f"{name}_ci"] = bootstrap_interval(column(rows, name), seed=BOOTSTRAP_SEED)
        summary[f"{name}_median"] = _median(column(rows, name))
    return summary


def _all_organ_names() -> list[str]:
    return [name for organ in ORGANS for name in organ_names(organ)]


def _median(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(np.median(defined)) if defined.size else float("nan")


def compare(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Paired tests between every two systems on the patients that both segmented.

    Wilcoxon's signed-rank test over the patients; and, as the paper's "1,000 iterations" may be
    read, the median p over 1,000 resamplings of them.
    """
    groups: dict[str, dict[str, Row]] = {}
    for row in evaluation.headline(rows):
        groups.setdefault(row["group"], {})[row["id"]] = row
    return [
        _comparison(name, (first, groups[first]), (second, groups[second]))
        for first, second in combinations(groups, 2)
        for name in COMPARED
        if any(name in row for g in (first, second) for row in groups[g].values())
    ]


def _comparison(
    name: str, first: tuple[str, Mapping[str, Row]], second: tuple[str, Mapping[str, Row]]
) -> dict[str, Any]:
    both = sorted(first[1].keys() & second[1].keys())
    a, b = (np.array([g[id_].get(name, np.nan) for id_ in both], float) for _, g in (first, second))
    test = wilcoxon_signed_rank(a, b)
    return {
        "name": name,
        "first": first[0],
        "second": second[0],
        "mean_difference": float(np.nanmean(a - b)) if both else float("nan"),
        "p_value": test.p_value,
        "median_bootstrap_p_value": median_bootstrap_wilcoxon(a, b, seed=BOOTSTRAP_SEED),
        "num": test.num,
        "reason": test.reason,
    }


PAPER = Paper(
    command="lnmet segment",
    group=lambda results: results["networks"],
    same=_same_grid,
    measure=_measure,
    as_error=nothing_found,
    summarize=summarize_segmentation,
)
