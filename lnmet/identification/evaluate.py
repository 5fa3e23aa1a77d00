"""Answers about annotated nodes against their truth: a row per examination, Table IV."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core import json_io
from core.commands import evaluate as evaluation
from core.commands.evaluate import Paper, Prediction, Truth
from core.errors import InputError
from core.metrics.rows import Row
from lnmet.cases import LabelledCase
from lnmet.identification.identify import COMMAND
from lnmet.identification.infer import SECTION
from lnmet.identification.metrics import summarize_identification
from lnmet.identification.page import identification_evaluation_page, table_4
from lnmet.nodes import annotated


def evaluate_identification(
    preds: Sequence[Path], truths: Sequence[Truth[LabelledCase]], out: Path
) -> dict[str, Any]:
    """Table IV of the outputs of `lnmet identify`.

    Args:
      preds: outputs; several folds are pooled, and averaged.
      truths: the annotated cases.
      out: gets metrics.json, rows.csv and report.html.

    Raises:
      InputError: no output in `preds`, or none of its cases is among the annotated.
    """
    metrics, matched = evaluation.evaluate(PAPER, preds, truths)
    page = identification_evaluation_page(metrics, matched[0].prediction.results["manifest"])
    evaluation.write(out, metrics, page, table_4(metrics))
    return metrics


def _same(prediction: Prediction, truth: Truth[LabelledCase]) -> bool:
    """Whether a case of this name has just these nodes."""
    return _truth_of(prediction) == _true_nodes(truth)


def _measure(truth: Truth[LabelledCase], prediction: Prediction | None) -> dict[str, Any]:
    true = _true_nodes(truth)
    row: dict[str, Any] = {"num_nodes": len(true), "num_metastatic": sum(true)}
    row["is_metastatic"] = true
    if prediction is None:
        return row
    if _truth_of(prediction) != true:
        raise InputError("has other annotated nodes than were asked about", path=truth.path)
    row["probabilities"] = [node["probability"] for node in _answers(prediction)]
    row["threshold"] = prediction.results[f"{SECTION}.threshold"]
    row["num_called_metastatic"] = prediction.row["num_called_metastatic"]
    return row


def _as_error(row: Row) -> dict[str, Any]:
    """An examination without an answer: each of its nodes is taken for the other kind."""
    true = np.asarray(row.get("is_metastatic", ()), float)
    return {"probabilities": (1 - true).tolist(), "threshold": 0.5}


def _answers(prediction: Prediction) -> list[dict[str, Any]]:
    return json_io.read_json(prediction.folder / "prediction.json")["nodes"]


def _truth_of(prediction: Prediction) -> list[bool]:
    return [node["is_metastatic"] for node in _answers(prediction)]


def _true_nodes(truth: Truth[LabelledCase]) -> list[bool]:
    return annotated(truth.case.read_label().array).is_metastatic.tolist()


PAPER = Paper(
    command=COMMAND,
    group=lambda results: results["networks"],
    same=_same,
    measure=_measure,
    as_error=_as_error,
    summarize=summarize_identification,
)
