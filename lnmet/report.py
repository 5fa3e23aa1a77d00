"""What LNMet shows: a scan with organs, tumor and nodes, attention over it, and its pages."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from core.metrics.rows import Row
from core.report import html
from core.report import overlay as views
from core.report.cases import results_page
from core.report.outline import Outline
from core.report.table import badges
from core.report.viewer import LabelClass
from core.volume import Volume
from lnmet.labels import METASTATIC, NAMES, NODE, PDAC
from lnmet.status.methods import NEGATIVE, POSITIVE, UNTOLD

NODE_COLOR, METASTATIC_COLOR, PDAC_COLOR = "#ffe34d", "#ff4d4d", "#ff9a3d"
ORGAN_COLORS = (
    *("#8e6bd1", "#4fc3d9", "#5fb36a", "#d94f6b", "#4f8dff"),
    *("#9ac24f", "#e07b39", "#d96bb0", "#6bd9b0", "#c9a227"),
)
"""Of the organs and vessels in the order of their ids."""
CLASSES = {
    id_: LabelClass(NAMES[id_], color)
    for id_, color in (
        *enumerate(ORGAN_COLORS, start=1),
        *((PDAC, PDAC_COLOR), (NODE, NODE_COLOR), (METASTATIC, METASTATIC_COLOR)),
    )
}
BADGES = badges(
    {"segmented": "good", POSITIVE: "bad", NEGATIVE: "good", UNTOLD: "plain", "failed": "warn"}
)
"""Of decisions."""
COLUMNS = {
    "nodes": "num_nodes",
    "nodes ml": "nodes_ml",
    "largest node mm³": "largest_node_mm3",
    "positive": "num_positive_nodes",
    "largest positive mm³": "largest_positive_node_mm3",
    "tumor ml": "pdac_ml",
}
"""Of the examinations."""


def overlay(
    volume: Volume,
    label: UInt8[np.ndarray, "d h w"],
    attention: Float[np.ndarray, "d h w"] | None,
) -> bytes:
    """PNG of a scan through its nodes, or else its tumor or organs, over the attention map.

    Args:
      volume: canonical CT in Hounsfield units.
      label: predicted ids.
      attention: map in [0, 1], tinted; None, there is none.
    """
    outlines = outlines_of(label)
    focus = label >= NODE
    for others in (label == PDAC, label > 0):
        focus = focus if focus.any() else others
    return views.overlay(volume, outlines, focus, heat=attention)


def outlines_of(label: UInt8[np.ndarray, "d h w"]) -> list[Outline]:
    """Outlines of what a label map shows: dashed organs, tinted tumor and nodes."""
    return [
        Outline(name, label == id_, color, id_ >= PDAC)
        for id_, (name, color) in present_classes(label).items()
    ]


def present_classes(label: UInt8[np.ndarray, "d h w"]) -> dict[int, LabelClass]:
    """Classes that a label map shows, by id."""
    return {id_: of for id_, of in CLASSES.items() if (label == id_).any()}


def segmentation_page(results: Mapping[str, Any], out: Path) -> str:
    """Page of `lnmet segment`: what was found, and a picture of every examination.

    Args:
      results: content of results.json.
      out: folder that holds cases/<id>/overlay.png.
    """
    return results_page(
        results,
        system="LNMet",
        job="segmentation",
        case="examination",
        labels={"segmented": "segmented", "failed": "failed"},
        columns=COLUMNS,
        section=lambda case: case_section(case["id"], case, out / "cases" / case["id"]),
        subtitle=f"Segmented: {results['networks']}.",
    )


def case_section(title: str, case: Row, folder: Path, note: str = "") -> html.Section:
    """One segmented examination, folded: its picture and what was measured in it."""
    png = (folder / "overlay.png").read_bytes()
    measured = []
    if case["num_nodes"] is not None:
        largest = f"the largest {case['largest_node_mm3']:.0f} mm³"
        measured.append(f"{case['num_nodes']} lymph nodes, {case['nodes_ml']:.2f} ml, {largest}. ")
    if case["pdac_ml"] is not None:
        measured.append(f"Tumor {case['pdac_ml']:.2f} ml. ")
    caption = f"{''.join(measured)}Tinted: where the attention map is above zero."
    alt = f"CT of {case['id']} with organs, tumor and lymph nodes outlined"
    picture = html.figure("", png, alt=alt, caption=caption)
    return html.details(title, [picture], badge=BADGES[case["decision"]], note=note)
