"""What EUSDAF shows: a picture with its lesion, and the page of a segmentation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from core.metrics.rows import Row
from core.report import html
from core.report.cases import results_page
from core.report.outline import Outline
from core.report.picture import PRED_COLOR, TRUE_COLOR, picture
from core.report.table import Badge, badges
from core.volume import Frame

NETWORKS = {"daf": "DAF-Net", "unet": "U-Net", "attention-unet": "Attention U-Net"}
BADGES = badges({"lesion": "bad", "no lesion": "good", "failed": "warn"})
COLUMNS = {
    "decision": lambda case: BADGES[case["decision"]],
    "score": "score",
    "frames": "num_frames",
    "with lesion": "num_frames_with_lesion",
    "pieces": "num_pieces",
    "axes, px": lambda case: _axes(case, "px"),
    "area, px": "area_px",
    "axes, mm": lambda case: _axes(case, "mm"),
    "area, mm²": "area_mm2",
    "scale": "scale",
}
"""Of the files of a segmentation."""


def overlay(
    frame: Frame, pred: Bool[np.ndarray, "h w"], true: Bool[np.ndarray, "h w"] | None = None
) -> bytes:
    """PNG of a picture with the contours of the prediction and, where known, the truth (Fig. 8)."""
    outlines = [] if true is None else [Outline("annotated", true, TRUE_COLOR, tinted=False)]
    outlines.append(Outline("predicted", pred, PRED_COLOR, tinted=True))
    return picture(frame.array, outlines, pixel_mm=frame.spacing_mm)


def segmentation_page(results: Mapping[str, Any], out: Path) -> str:
    """Page of `eusdaf segment`: what was decided, and a picture of every file.

    Args:
      results: content of results.json.
      out: folder that holds cases/<id>/overlay.png.
    """

    def section(case: Row) -> html.Section:
        png = (out / "cases" / case["id"] / "overlay.png").read_bytes()
        return picture_section(case["id"], png, BADGES[case["decision"]], _caption(case))

    return results_page(
        results,
        system="EUS",
        job="segmentation",
        case="file",
        labels={word: word for word in BADGES},
        columns=COLUMNS,
        section=section,
        subtitle=f"{NETWORKS[results['network']]}.",
    )


def picture_section(title: str, png: bytes, badge: Badge, caption: str) -> html.Section:
    """One picture, folded."""
    alt = f"Ultrasound picture of {title} with outlines"
    return html.details(title, [html.figure("", png, alt=alt, caption=caption)], badge=badge)


def _caption(case: Row) -> str:
    text = f"Largest probability {case['score']:.3f}; {case['area_px']} pixels"
    if (pieces := case["num_pieces"]) > 1:
        text += f" in the largest of {pieces} pieces"
    if (frames := case["num_frames"]) > 1:
        text += f"; largest lesion of {case['num_frames_with_lesion']} in {frames} frames"
    return f"{text}."


def _axes(case: Row, unit: str) -> str | None:
    """Long and short axis of the lesion; None where there is none or its unit is not known."""
    long_axis, short_axis = (case.get(f"{name}_axis_{unit}") for name in ("long", "short"))
    return None if long_axis is None else f"{long_axis:.1f} × {short_axis:.1f}"
