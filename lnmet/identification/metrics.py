"""How well nodes are identified (Table IV): over all nodes, fold by fold, by patient."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from core.metrics.diagnosis import Answers, diagnostic_row
from core.metrics.rows import Row

TABLE_4 = ("auc", "accuracy", "balanced_accuracy", "sensitivity", "specificity")
BOOTSTRAP_SEED = 0


class Nodes(NamedTuple):
    """Nodes of several examinations: how probably metastatic, whether called so, and truth."""

    probabilities: Float[np.ndarray, "n"]
    is_called: Bool[np.ndarray, "n"]
    is_metastatic: Bool[np.ndarray, "n"]


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


def rates(nodes: Nodes, patients: Sequence[str]) -> dict[str, Any]:
    """Columns of Table IV with intervals by patient; nan where nodes of one kind are missing.

    Args:
      nodes: of several examinations.
      patients: whose each node is; nodes of one are not independent.
    """
    answers = Answers(nodes.probabilities, nodes.is_called)
    return diagnostic_row(answers, nodes.is_metastatic, groups=patients, seed=BOOTSTRAP_SEED)


def summarize_identification(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rates over all nodes with intervals of 95 % by patient, and their means over folds."""
    nodes, folds = nodes_of(rows), dict.fromkeys(row["fold"] for row in rows)
    of_folds = [_rates([row for row in rows if row["fold"] == fold]) for fold in folds]
    return {
        "num_patients": len({row["patient"] for row in rows}),
        "num_examinations": len(rows),
        "num_folds": len(folds),
        "num_nodes": len(nodes.is_metastatic),
        "num_metastatic": int(nodes.is_metastatic.sum()),
        **_rates(rows),
        **{f"{name}_of_folds": _mean([fold[name] for fold in of_folds]) for name in TABLE_4},
    }


def _rates(rows: Sequence[Row]) -> dict[str, Any]:
    return rates(nodes_of(rows), [r["patient"] for r in rows for _ in r.get("probabilities", ())])


def _mean(values: Sequence[float]) -> float:
    """Over the folds where it is defined."""
    defined = np.array(values)[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
