"""Tables VI and VII: every method's figures with intervals, and how it differs from ours."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.metrics.compare import holm
from core.metrics.diagnosis import TESTS, Answers, compare_decisions, diagnostic_row
from lnmet.status.methods import CT_REPORTED, METHODS, OURS

MEASURES = ("balanced_accuracy", "auc", "accuracy", "sensitivity", "specificity")
"""Columns of Tables VI and VII."""
SEED = 0
PAPER_TABLE_6: Mapping[str, tuple[float, ...]] = {
    "CT-reported LN status": (0.599, float("nan"), 0.599, 0.588, 0.609),
    "Radiomics": (0.597, 0.648, 0.603, 0.508, 0.686),
    "Radiomics + CT-reported LN status": (0.604, 0.654, 0.610, 0.524, 0.684),
    "ResNet3D": (0.562, 0.609, 0.554, 0.599, 0.524),
    "ResNet2D": (0.571, 0.631, 0.574, 0.568, 0.574),
    "DeepTEN": (0.588, 0.634, 0.593, 0.609, 0.566),
    "ClsfromPDAC": (0.599, 0.654, 0.597, 0.600, 0.597),
    "ClsbyLNSeg w/o Attn": (0.545, 0.590, 0.566, 0.433, 0.657),
    "ClsbyLNSeg w/ Attn": (0.563, 0.603, 0.572, 0.351, 0.775),
    "Ours": (0.633, 0.682, 0.635, 0.618, 0.649),
}
PAPER_TABLE_7: Sequence[Mapping[str, tuple[float, ...]]] = (
    {
        "Radiomics": (0.493, 0.511, 0.672, 0.051, 0.935),
        "ResNet3D": (0.508, 0.509, 0.527, 0.462, 0.554),
        "ResNet2D": (0.563, 0.564, 0.542, 0.615, 0.511),
        "DeepTEN": (0.556, 0.557, 0.511, 0.667, 0.446),
        "ClsfromPDAC": (0.515, 0.554, 0.485, 0.590, 0.441),
        "ClsbyLNSeg w/o Attn": (0.579, 0.555, 0.689, 0.308, 0.849),
        "ClsbyLNSeg w/ Attn": (0.589, 0.580, 0.705, 0.308, 0.871),
        "Ours": (0.620, 0.603, 0.674, 0.487, 0.753),
    },
    {
        "Radiomics": (0.508, 0.609, 0.441, 0.243, 0.773),
        "ResNet3D": (0.461, 0.442, 0.475, 0.514, 0.409),
        "ResNet2D": (0.681, 0.687, 0.650, 0.577, 0.786),
        "DeepTEN": (0.613, 0.647, 0.640, 0.697, 0.529),
        "ClsfromPDAC": (0.620, 0.639, 0.593, 0.514, 0.727),
        "ClsbyLNSeg w/o Attn": (0.607, 0.690, 0.542, 0.351, 0.864),
        "ClsbyLNSeg w/ Attn": (0.639, 0.695, 0.593, 0.459, 0.818),
        "Ours": (0.684, 0.703, 0.661, 0.595, 0.773),
    },
)
"""Of the two hospitals."""

Rows = Sequence[Mapping[str, Any]]
"""Of answers.json: id, patient, status, scores and calls by method; of a cross-validation, fold."""


def measured(rows: Rows) -> list[dict[str, Any]]:
    """Figures of every method over the cases that it answered, in the order of Table VI.

    Returns:
      {"method", "num_cases", of each of `MEASURES` its value over all cases, "<name>_ci" and, where
      rows have a fold, "<name>_of_folds": the mean of the folds where it is defined}.
    """
    return [_method(method, rows) for method in METHODS if any(method in r["calls"] for r in rows)]


def compared(rows: Rows) -> list[dict[str, Any]]:
    """Tests of ours against every other method, each on the cases that both answered.

    Holm's correction is over the methods, test by test.
    """
    comparisons = []
    for method in METHODS:
        both = [row for row in rows if {OURS, method} <= row["calls"].keys()]
        if method != OURS and both:
            truth, patients = _truth(both)
            comparisons += compare_decisions(
                _answers(OURS, both),
                {method: _answers(method, both)},
                truth,
                groups=patients,
                seed=SEED,
            )
    for test in TESTS:
        for row, p in zip(comparisons, holm([row[test] for row in comparisons]), strict=True):
            row[f"{test}_holm"] = p
    return comparisons


def ensemble(folds: Sequence[Rows], thresholds: Sequence[Mapping[str, float]]) -> Rows:
    """Mean scores of several folds about the same cases, and decisions by them (Sec. IV-F).

    Args:
      folds: rows of each fold; a method that a fold does not have is left out.
      thresholds: of each fold by method; the mean decides.
    """
    by_case = [{row["id"]: row for row in rows} for rows in folds]
    rows = []
    for id_, row in by_case[0].items():
        own = [of_fold[id_] for of_fold in by_case]
        methods = [m for m in row["scores"] if all(m in other["scores"] for other in own)]
        scores = {m: float(np.mean([other["scores"][m] for other in own])) for m in methods}
        limits = {m: float(np.mean([of_fold[m] for of_fold in thresholds])) for m in methods}
        calls = {m: scores[m] >= limits[m] for m in methods}
        if CT_REPORTED in row["calls"]:
            calls[CT_REPORTED] = row["calls"][CT_REPORTED]
        rows.append({**row, "scores": scores, "calls": calls})
    return rows


def _method(method: str, rows: Rows) -> dict[str, Any]:
    own = [row for row in rows if method in row["calls"]]
    truth, patients = _truth(own)
    row = {"method": method, "num_cases": len(own)}
    row |= diagnostic_row(_answers(method, own), truth, groups=patients, seed=SEED)
    if all("fold" in r for r in own):
        numbers = sorted({r["fold"] for r in own})
        folds = [_values(method, [r for r in own if r["fold"] == fold]) for fold in numbers]
        for name in MEASURES:
            row[f"{name}_of_folds"] = _mean([values[name] for values in folds])
    return row


def _values(method: str, rows: Rows) -> Mapping[str, float]:
    truth, _ = _truth(rows)
    return diagnostic_row(_answers(method, rows), truth, seed=SEED)


def _answers(method: str, rows: Rows) -> Answers:
    calls = np.array([row["calls"][method] for row in rows], bool)
    if method == CT_REPORTED:
        return Answers(None, calls)
    return Answers(np.array([row["scores"][method] for row in rows], float), calls)


def _truth(rows: Rows) -> tuple[NDArray[np.bool_], list[str]]:
    return np.array([row["status"] for row in rows], bool), [row["patient"] for row in rows]


def _mean(values: Sequence[float]) -> float:
    """Over the folds where it is defined."""
    defined = [value for value in values if np.isfinite(value)]
    return float(np.mean(defined)) if defined else float("nan")
