"""What EUSDAF shows: a picture with its lesion, and the page of a segmentation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from core.report import html
from core.report.outline import Outline
from core.report.picture import PRED_COLOR, TRUE_COLOR, picture
from core.report.table import Badge, Link, Table, Tone, without_empty
from core.volume import Frame

NETWORKS = {"daf": "DAF-Net", "unet": "U-Net", "attention-unet": "Attention U-Net"}
TONES: dict[str, Tone] = {"lesion": "bad", "no lesion": "good", "failed": "warn"}


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
    cases = results["cases"]
    decisions = [case.get("decision", "failed") for case in cases]
    tiles = [html.Tile("files", str(len(cases)))]
    tiles += [html.Tile(name, str(decisions.count(name))) for name in TONES]
    shown = [case for case in cases if case["status"] == "done"][: html.MAX_PICTURES]
    sections = [html.tiles("Segmentation", tiles), html.table("Files", _table(cases, shown))]
    if results["skipped"]:
        rows = [(str(s["path"]), s["reason"]) for s in results["skipped"]]
        skipped = html.table("", Table(("file", "reason"), rows))
        sections.append(html.details(f"{len(rows)} files not used", [skipped]))
    for case in shown:
        png = (out / "cases" / case["id"] / "overlay.png").read_bytes()
        sections.append(picture_section(case["id"], png, badge(case["decision"]), _caption(case)))
    sections.append(html.provenance(results["manifest"]))
    return html.page(
        "EUS segmentation",
        sections,
        subtitle=f"{NETWORKS[results['network']]}. For research only.",
    )


def picture_section(title: str, png: bytes, mark: Badge, caption: str) -> html.Section:
    """One picture, folded."""
    alt = f"Ultrasound picture of {title} with outlines"
    return html.details(title, [html.figure("", png, alt=alt, caption=caption)], badge=mark)


def badge(decision: str) -> Badge:
    """Colored word for a decision."""
    return Badge(decision, TONES[decision])


def _caption(case: Mapping[str, Any]) -> str:
    text = f"Largest probability {case['score']:.3f}; {case['area_px']} pixels"
    if (pieces := case["num_pieces"]) > 1:
        text += f" in the largest of {pieces} pieces"
    if (frames := case["num_frames"]) > 1:
        text += f"; largest lesion of {case['num_frames_with_lesion']} in {frames} frames"
    return f"{text}."


def _table(cases: Sequence[Mapping[str, Any]], shown: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each file."""
    columns = ("file", "decision", "score", "frames", "with lesion", "pieces", "axes, px")
    columns += ("area, px", "axes, mm", "area, mm²", "s", "error")
    names = ("score", "num_frames", "num_frames_with_lesion", "num_pieces")
    linked = {case["id"] for case in shown}
    lines = [
        (
            Link(case["id"], case["id"]) if case["id"] in linked else case["id"],
            badge(case.get("decision", "failed")),
            *(case.get(name) for name in names),
            _axes(case, "px"),
            case.get("area_px"),
            _axes(case, "mm"),
            case.get("area_mm2"),
            case["seconds"],
            case.get("error"),
        )
        for case in cases
    ]
    return without_empty(columns, lines)


def _axes(case: Mapping[str, Any], unit: str) -> str | None:
    """Long and short axis of the lesion; None where there is none or its unit is not known."""
    long_axis, short_axis = (case.get(f"{name}_axis_{unit}") for name in ("long", "short"))
    return None if long_axis is None else f"{long_axis:.1f} × {short_axis:.1f}"
