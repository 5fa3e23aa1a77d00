"""How well nodes are identified (Table IV): over all nodes, fold by fold, by patient."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from core.metrics.classification import accuracy, auc, sensitivity, specificity
from core.metrics.compare import UNDEFINED, Interval
from core.metrics.overlap import confusion_counts
from core.metrics.rows import Row
from core.random import rng

TABLE_4 = ("auc", "accuracy", "balanced_accuracy", "sensitivity", "specificity")
BOOTSTRAP_SEED, NUM_BOOTSTRAPS = 0, 1000


class Nodes(NamedTuple):
    """Nodes of several examinations: how probably metastatic, whether called so, and truth."""

    probabilities: Float[np.ndarray, "n"]
    is_called: Bool[np.ndarray, "n"]
    is_metastatic: Bool[np.ndarray, "n"]

    def at(self, chosen: np.ndarray) -> "Nodes":
        """Some of them, by number."""
        return Nodes(*(values[chosen] for values in self))


def nodes_of(rows: Sequence[Row]) -> Nodes:
    """Nodes of examinations that have an answer, in their order."""
    answered = [row for row in rows if "probabilities" in row]
    probabilities = [np.asarray(row["probabilities"], np.float64) for row in answered]
    called = [p >= row["threshold"] for p, row in zip(probabilities, answered, strict=True)]
    truth = [np.asarray(row["is_metastatic"], bool) for row in answered]
    return Nodes(
        np.concatenate([np.empty(0), *probabilities]),
        np.concatenate([np.empty(0, bool), *called]),
        np.concatenate([np.empty(0, bool), *truth]),
    )


def rates(nodes: Nodes) -> dict[str, float]:
    """Columns of Table IV; nan where nodes of one kind are missing."""
    counts = confusion_counts(nodes.is_called, nodes.is_metastatic)
    both = sensitivity(counts), specificity(counts)
    values = (
        auc(nodes.probabilities, nodes.is_metastatic),
        accuracy(counts),
        sum(both) / 2,
        *both,
    )
    return dict(zip(TABLE_4, values, strict=True))


def summarize_identification(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rates over all nodes with intervals of 95 % by patient, and their means over folds."""
    nodes = nodes_of(rows)
    folds = dict.fromkeys(row["fold"] for row in rows)
    of_folds = [rates(nodes_of([r for r in rows if r["fold"] == fold])) for fold in folds]
    intervals = _intervals(rows)
    summary: dict[str, Any] = {
        "num_patients": len({row["patient"] for row in rows}),
        "num_examinations": len(rows),
        "num_folds": len(folds),
        "num_nodes": len(nodes.is_metastatic),
        "num_metastatic": int(nodes.is_metastatic.sum()),
    }
    for name, value in rates(nodes).items():
        summary[name] = value
        summary[f"{name}_ci"] = intervals[name]
        summary[f"{name}_of_folds"] = _mean([fold[name] for fold in of_folds])
    return summary


def _intervals(rows: Sequence[Row]) -> dict[str, Interval]:
    """Percentiles over resampled patients: nodes of one are not independent."""
    nodes = nodes_of(rows)
    patients = [row["patient"] for row in rows for _ in row.get("probabilities", ())]
    own = [np.flatnonzero(np.array(patients) == p) for p in dict.fromkeys(patients)]
    if len(own) < 2:
        return dict.fromkeys(TABLE_4, UNDEFINED)
    draws = rng(BOOTSTRAP_SEED).integers(len(own), size=(NUM_BOOTSTRAPS, len(own)))
    resampled = [rates(nodes.at(np.concatenate([own[i] for i in draw]))) for draw in draws]
    return {name: _interval([sample[name] for sample in resampled]) for name in TABLE_4}


def _interval(values: Sequence[float]) -> Interval:
    defined = np.array(values)[~np.isnan(values)]
    if not defined.size:
        return UNDEFINED
    low, high = np.quantile(defined, (0.025, 0.975))
    return Interval(float(low), float(high))


def _mean(values: Sequence[float]) -> float:
    """Over the folds where it is defined."""
    defined = np.array(values)[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
