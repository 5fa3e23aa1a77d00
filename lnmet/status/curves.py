"""Curves of the methods that tell the status: ROC, precision–recall, calibration, decisions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.metrics.calibration import brier_score, calibration_curve, equal_count_edges
from core.metrics.classification import auc, roc_curve
from core.metrics.net_benefit import net_benefit, net_benefit_of_treating_all
from core.metrics.precision_recall import average_precision, precision_recall_curve
from core.report import html
from core.report.comparisons import PrecisionRecalls, Roc, precision_recalls, rocs
from core.report.risk import calibrations, decision_curves
from lnmet.status.measures import Rows
from lnmet.status.methods import METHODS, NODES, NODES_NO_ATTENTION

NUM_BINS = 5
THRESHOLDS = np.linspace(0.05, 0.95, 91)
"""Probabilities at which somebody may be treated."""


def status_figures(rows: Rows) -> list[html.Section]:
    """Curves over the cases that every method answered; none where they are of one status alone.

    Args:
      rows: of answers.json.
    """
    methods = [m for m in METHODS if any(m in row["scores"] for row in rows)]
    common = [row for row in rows if all(m in row["scores"] for m in methods)]
    truth = np.array([row["status"] for row in common], bool)
    if not methods or not truth.any() or truth.all():
        return []
    scores = {m: np.array([row["scores"][m] for row in common], float) for m in methods}
    probs = {m: s for m, s in scores.items() if m not in (NODES, NODES_NO_ATTENTION)}
    note = f"{len(common)} cases that every method answered, {np.count_nonzero(truth)} positive."
    figures = [
        ("ROC", _rocs(scores, truth), "ROC curves of all methods", note),
        ("Precision and recall", _recalls(scores, truth), "Precision–recall curves", note),
    ]
    if probs:
        brier = ", ".join(f"{m} {brier_score(p, truth):.3f}" for m, p in probs.items())
        calibrated = f"{note} Brier scores: {brier}."
        alt = "Share of positive cases against predicted probability"
        figures += [
            ("Calibration", _calibrations(probs, truth), alt, calibrated),
            ("Decision curves", _decisions(probs, truth), "Net benefit by threshold", note),
        ]
    return [
        html.figure(title, png, alt=alt, caption=caption) for title, png, alt, caption in figures
    ]


def _rocs(scores: Mapping[str, np.ndarray], truth: np.ndarray) -> bytes:
    return rocs({m: Roc(roc_curve(s, truth), auc(s, truth)) for m, s in scores.items()})


def _recalls(scores: Mapping[str, np.ndarray], truth: np.ndarray) -> bytes:
    curves: dict[str, Any] = {
        m: PrecisionRecalls(precision_recall_curve(s, truth), average_precision(s, truth))
        for m, s in scores.items()
    }
    return precision_recalls(curves, prevalence=float(truth.mean()))


def _calibrations(probs: Mapping[str, np.ndarray], truth: np.ndarray) -> bytes:
    return calibrations(
        {m: calibration_curve(p, truth, equal_count_edges(p, NUM_BINS)) for m, p in probs.items()}
    )


def _decisions(probs: Mapping[str, np.ndarray], truth: np.ndarray) -> bytes:
    return decision_curves(
        {m: net_benefit(p, truth, THRESHOLDS) for m, p in probs.items()},
        thresholds=THRESHOLDS,
        treat_all=net_benefit_of_treating_all(truth, THRESHOLDS),
    )
