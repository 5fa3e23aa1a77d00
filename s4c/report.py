"""What S4C shows: a scan with its segmentation, and the pages of a screening and an evaluation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from core.datasets.pancreas import BACKGROUND, DUCT, PANCREAS, TUMOR
from core.metrics.rows import Row
from core.report import html
from core.report import overlay as views
from core.report.cases import results_page
from core.report.outline import Outline
from core.report.table import badges
from core.report.viewer import LabelClass
from core.volume import Volume
from s4c.classifier.config import CLASSIFICATION

CLASSES = {
    PANCREAS: LabelClass("pancreas", "#4f8dff"),
    TUMOR: LabelClass("tumor", "#ff4d4d"),
    DUCT: LabelClass("dilated duct", "#3ecf6d"),
}
"""Colors as in Fig. 3; PNET Supplement."""
BADGES = badges({"PDAC": "bad", "PNET": "bad", "normal": "good", "failed": "warn"})
COLUMNS = {
    "call": lambda case: BADGES[case["decision"]],
    "score": "score",
    "tumor ml": "tumor_ml",
    "tumor voxels": "num_tumor_voxels",
    "pancreas ml": "pancreas_ml",
    "duct voxels": lambda case: case.get("num_duct_voxels") or None,
    "decided by": "decided_by",
}
"""Of the scans of a screening."""
RULES = {
    "PDAC": "A scan is called PDAC if enough of its voxels are tumor.",
    "PNET": "A scan is called PNET if enough of its voxels are tumor, or dilated pancreatic duct; "
    "a patient, if the scan of either phase is.",
    CLASSIFICATION: "A classifier calls a scan, on features of the network that segments it here.",
}


def overlay(volume: Volume, pred: UInt8[np.ndarray, "d h w"]) -> bytes:
    """PNG of a scan through its tumor, or else its pancreas, with their outlines.

    Args:
      volume: canonical CT in Hounsfield units.
      pred: predicted ids.
    """
    masks = {PANCREAS: pred != BACKGROUND, TUMOR: pred == TUMOR, DUCT: pred == DUCT}
    outlines = [
        Outline(f"{CLASSES[id_].name}, predicted", mask, CLASSES[id_].color, True)
        for id_, mask in masks.items()
        if mask.any()
    ]
    focus = masks[TUMOR] if masks[TUMOR].any() else masks[PANCREAS]
    return views.overlay(volume, outlines, focus)


def screening_page(results: Mapping[str, Any], out: Path) -> str:
    """Page of `s4c screen`: what was called, and a picture of every scan.

    Args:
      results: content of results.json.
      out: folder that holds cases/<id>/overlay.png.
    """
    called = results["positive"]
    return results_page(
        results,
        system="S4C",
        job="screening",
        case="patient" if len(results["phases"]) > 1 else "scan",
        labels={called: f"called {called}", "normal": "called normal", "failed": "failed"},
        columns=COLUMNS,
        section=lambda case: case_section(case["id"], case, out / "cases" / case["id"]),
        subtitle=RULES[CLASSIFICATION if results["system"] == CLASSIFICATION else called]
        + _grid(results),
    )


def _grid(results: Mapping[str, Any]) -> str:
    """Which voxels are counted, where they are not the scan's own."""
    if results.get("spacing_mm") is None:
        return ""
    size = " × ".join(f"{mm:g}" for mm in results["spacing_mm"])
    return f" Voxels are those that the networks see, of {size} mm."


def case_section(title: str, case: Row, folder: Path, note: str = "") -> html.Section:
    """One screened patient, folded: a picture of each scan and what was measured in it."""
    parts = pictures(case, folder)
    return html.details(title, parts, badge=BADGES[case["decision"]], note=note)


def pictures(case: Row, folder: Path) -> list[html.Section]:
    """Of each scan of a patient, what was measured in it under its picture."""
    phases = case.get("phases") or {"": case}
    return [_picture(case["id"], phase, row, folder / phase) for phase, row in phases.items()]


def _picture(case_id: str, phase: str, row: Row, folder: Path) -> html.Section:
    caption = (
        f"Score {row['score']:.3f}; tumor {row['tumor_ml']:.2f} ml in "
        f"{row['num_tumor_voxels']} voxels, pancreas {row['pancreas_ml']:.1f} ml"
    )
    if row["num_duct_voxels"]:
        caption += f", dilated duct {row['duct_ml']:.2f} ml in {row['num_duct_voxels']} voxels"
    alt = f"CT of {case_id} with the predicted pancreas and tumor outlined"
    png = (folder / "overlay.png").read_bytes()
    return html.figure(phase, png, alt=alt, caption=f"{caption}.")
