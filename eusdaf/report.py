"""What EUSDAF shows: a picture with its lesion, and the page of a segmentation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from core.report import html
from core.report.outline import Outline
from core.report.picture import PRED_COLOR, TRUE_COLOR, picture
from core.report.table import Badge, Link, Table
from core.volume import Frame

NETWORKS = {"daf": "DAF-Net", "unet": "U-Net", "attention-unet": "Attention U-Net"}
TONES = {"lesion": "bad", "no lesion": "good", "failed": "warn"}
MAX_PICTURES = 40
"""Cases shown with a picture: the page stays small enough to send."""


def overlay(
    frame: Frame, pred: Bool[np.ndarray, "h w"], true: Bool[np.ndarray, "h w"] | None = None
) -> bytes:
    """PNG of a picture with the contours of the prediction and, where known, the truth (Fig. 8)."""
    outlines = [] if true is None else [Outline("annotated", true, TRUE_COLOR, tinted=False)]
    outlines.append(Outline("predicted", pred, PRED_COLOR, tinted=True))
    return picture(frame.array, outlines, pixel_mm=frame.spacing_mm)


def segmentation_page(results: Mapping[str, Any], out: Path) -> str:
    """Page of `eusdaf segment`: what was found, and a picture of every file.

    Args:
      results: content of results.json.
      out: folder that holds cases/<id>/overlay.png.
    """
    cases = results["cases"]
    decisions = [case.get("decision", "failed") for case in cases]
    tiles = [html.Tile("files", str(len(cases)))]
    tiles += [html.Tile(name, str(decisions.count(name))) for name in TONES]
    sections = [html.tiles("Segmentation", tiles), html.table("Files", _table(cases))]
    if results["skipped"]:
        rows = [(str(s["path"]), s["reason"]) for s in results["skipped"]]
        skipped = html.table("", Table(("file", "reason"), rows))
        sections.append(html.details(f"{len(rows)} files not used", [skipped]))
    done = [case for case in cases if case["status"] == "done"]
    for case in done[:MAX_PICTURES]:
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
    """Colored word for what was found."""
    return Badge(decision, TONES[decision])  # type: ignore[arg-type]


def _caption(case: Mapping[str, Any]) -> str:
    frames = case["num_frames"]
    text = f"Largest probability {case['score']:.3f}; {case['area_px']} pixels."
    if frames > 1:
        text += f" The largest of {case['num_frames_with_lesion']} lesions in {frames} frames."
    return text


def _table(cases: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each file; columns that would be empty in all lines are left out."""
    cells = {
        "score": [case.get("score") for case in cases],
        "frames": [case.get("num_frames") for case in cases],
        "with lesion": [case.get("num_frames_with_lesion") for case in cases],
        "axes, px": [_axes(case, "px") for case in cases],
        "area, px": [case.get("area_px") for case in cases],
        "axes, mm": [_axes(case, "mm") for case in cases],
        "area, mm²": [case.get("area_mm2") for case in cases],
        "s": [case["seconds"] for case in cases],
        "error": [case.get("error") for case in cases],
    }
    filled = {name: column for name, column in cells.items() if any(map(_is_known, column))}
    shown = {case["id"] for case in [c for c in cases if c["status"] == "done"][:MAX_PICTURES]}
    names = [Link(c["id"], c["id"]) if c["id"] in shown else c["id"] for c in cases]
    marks = [badge(case.get("decision", "failed")) for case in cases]
    rows = zip(names, marks, *filled.values(), strict=True)
    return Table(("file", "found", *filled), list(rows))


def _axes(case: Mapping[str, Any], unit: str) -> str | None:
    """Long and short axis of the lesion; None where there is none or its unit is not known."""
    long_axis, short_axis = (case.get(f"{name}_axis_{unit}") for name in ("long", "short"))
    return f"{long_axis:.1f} × {short_axis:.1f}" if _is_known(long_axis) else None


def _is_known(value: Any) -> bool:
    return value is not None and value == value  # nan is not itself
