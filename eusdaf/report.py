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
        subtitle=f"Network: {results['network']}. For research only.",
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
    columns = ("file", "found", "score", "frames", "with lesion", "long axis px", "short axis px")
    columns += ("area px", "long axis mm", "short axis mm", "area mm²", "s", "error")
    names = ("score", "num_frames", "num_frames_with_lesion", "long_axis_px", "short_axis_px")
    names += ("area_px", "long_axis_mm", "short_axis_mm", "area_mm2", "seconds", "error")
    shown = {case["id"] for case in [c for c in cases if c["status"] == "done"][:MAX_PICTURES]}
    return Table(
        columns,
        [
            [
                Link(case["id"], case["id"]) if case["id"] in shown else case["id"],
                badge(case.get("decision", "failed")),
                *(case.get(name) for name in names),
            ]
            for case in cases
        ],
    )
