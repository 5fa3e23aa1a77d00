"""What S4C shows: a scan with its segmentation, and the pages of a screening and an evaluation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from core.datasets.pancreas import BACKGROUND, TUMOR
from core.metrics.rows import Row
from core.report import html
from core.report import overlay as views
from core.report.cases import results_page
from core.report.outline import Outline
from core.report.table import badges
from core.volume import Volume

COLORS = {"pancreas": "#4f8dff", "tumor": "#ff4d4d"}
"""As in Fig. 3."""
BADGES = badges({"PDAC": "bad", "normal": "good", "failed": "warn"})
COLUMNS = {
    "call": lambda case: BADGES[case["decision"]],
    "score": "score",
    "tumor ml": "tumor_ml",
    "tumor voxels": "num_tumor_voxels",
    "pancreas ml": "pancreas_ml",
}
"""Of the scans of a screening."""


def overlay(volume: Volume, pred: UInt8[np.ndarray, "d h w"]) -> bytes:
    """PNG of a scan through its tumor, or else its pancreas, with their outlines.

    Args:
      volume: canonical CT in Hounsfield units.
      pred: predicted ids.
    """
    masks = {"pancreas": pred != BACKGROUND, "tumor": pred == TUMOR}
    outlines = [
        Outline(f"{name}, predicted", mask, COLORS[name], True)
        for name, mask in masks.items()
        if mask.any()
    ]
    focus = masks["tumor"] if masks["tumor"].any() else masks["pancreas"]
    return views.overlay(volume, outlines, focus)


def screening_page(results: Mapping[str, Any], out: Path) -> str:
    """Page of `s4c screen`: what was called, and a picture of every scan.

    Args:
      results: content of results.json.
      out: folder that holds cases/<id>/overlay.png.
    """
    return results_page(
        results,
        system="S4C",
        job="screening",
        case="scan",
        labels={"PDAC": "called PDAC", "normal": "called normal", "failed": "failed"},
        columns=COLUMNS,
        section=lambda case: case_section(case["id"], case, out / "cases" / case["id"]),
        subtitle="A scan is called PDAC if enough of its voxels are tumor.",
    )


def case_section(title: str, case: Row, folder: Path, note: str = "") -> html.Section:
    """One screened scan, folded: its picture and what was measured in it."""
    png = (folder / "overlay.png").read_bytes()
    caption = (
        f"Score {case['score']:.3f}; tumor {case['tumor_ml']:.2f} ml in "
        f"{case['num_tumor_voxels']} voxels, pancreas {case['pancreas_ml']:.1f} ml."
    )
    alt = f"CT of {case['id']} with the predicted pancreas and tumor outlined"
    picture = html.figure("", png, alt=alt, caption=caption)
    return html.details(title, [picture], badge=BADGES[case["decision"]], note=note)
