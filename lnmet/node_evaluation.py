"""How well nodes are segmented (Table V): all of them, and each kind by itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from core.metrics import detection
from lnmet.labels import METASTATIC, NODE, has_target

MIN_IOU = 0.30
"""Of a node that counts as found (Sec. IV-D)."""
KINDS: Mapping[str, tuple[int, ...]] = {
    "node": (NODE, METASTATIC),
    "positive_node": (METASTATIC,),
    "negative_node": (NODE,),
}
"""Ids of a kind: of nodes before they are identified, and of each kind after."""


def rates_of(kind: str) -> tuple[str, ...]:
    """Columns of a kind whose means over patients are reported."""
    return tuple(f"{kind}_{name}" for name in detection.RATES)


NODE_RATES = tuple(name for kind in KINDS for name in rates_of(kind))
COMPARED = tuple(f"{kind}_{name}" for kind in KINDS for name in ("dice", "instance_f"))
"""Columns of Table V that are tested (Sec. IV-D)."""


def annotated_kinds(annotated: frozenset[int]) -> list[str]:
    """Kinds that a case annotated with some ids tells of."""
    if METASTATIC in annotated:
        return list(KINDS)
    return ["node"] if has_target(annotated, "nodes") else []


def segmented_kinds(networks: str) -> list[str]:
    """Kinds that a system tells of, by its name in results.json."""
    if "nodes" not in networks:
        return []
    return list(KINDS) if "identification" in networks else ["node"]


def node_row(
    pred: UInt8[np.ndarray, "*s"], true: UInt8[np.ndarray, "*s"], kinds: Sequence[str] = ("node",)
) -> dict[str, float]:
    """Rates over voxels and instances of the lymph nodes of one patient.

    Args:
      pred: predicted ids.
      true: annotated ids.
      kinds: of nodes; those of another kind are background.
    """
    row = {}
    for kind in kinds:
        masks = (np.isin(label, KINDS[kind]) for label in (pred, true))
        # What is smaller than a node was dropped when it was segmented.
        rates = detection.patient_row(*masks, min_iou=MIN_IOU, min_voxels=1)
        row |= {f"{kind}_{name}": value for name, value in rates.items()}
    return row


def presence(true: UInt8[np.ndarray, "*s"], annotated: frozenset[int]) -> dict[str, bool]:
    """Whether an examination shows nodes of the kinds it is annotated with: "has_nodes", …."""
    kinds = annotated_kinds(annotated)
    return {f"has_{kind}s": bool(np.isin(true, KINDS[kind]).any()) for kind in kinds}


def nothing_found(row: Mapping[str, Any]) -> dict[str, float]:
    """Rates of an examination without an answer: no node of it is found."""
    kinds = [kind for kind in segmented_kinds(row["group"]) if row.get(f"has_{kind}s")]
    return {name: 0.0 for kind in kinds for name in rates_of(kind)}
