"""What S4C shows: a scan with its segmentation, and the pages of a screening and an evaluation."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from core.datasets.pancreas import BACKGROUND, TUMOR
from core.report import html
from core.report import overlay as views
from core.report.outline import Outline
from core.report.table import Badge, Link, Table, Tone
from core.volume import Volume

# As in Fig. 3: blue pancreas, red tumor; lighter for the annotation.
PRED_COLORS = {"pancreas": "#4f8dff", "tumor": "#ff4d4d"}
TRUE_COLORS = {"pancreas": "#9fd0ff", "tumor": "#ffc04d"}

TONES: dict[str, Tone] = {"PDAC": "bad", "normal": "good", "failed": "warn"}


def overlay(
    volume: Volume,
    pred: UInt8[np.ndarray, "d h w"],
    true: UInt8[np.ndarray, "d h w"] | None = None,
) -> bytes:
    """PNG of a scan through its tumor, or else its pancreas, with outlines.

    Args:
      volume: canonical CT in Hounsfield units.
      pred: predicted ids.
      true: annotated ids, where known.
    """
    outlines = [] if true is None else _outlines(true, "annotated", TRUE_COLORS, tinted=False)
    outlines += _outlines(pred, "predicted", PRED_COLORS, tinted=True)
    candidates = [pred == TUMOR, pred != BACKGROUND]
    if true is not None:
        candidates = [true == TUMOR, pred == TUMOR, true != BACKGROUND, pred != BACKGROUND]
    focus = next((mask for mask in candidates if mask.any()), candidates[-1])
    return views.overlay(volume, outlines, focus)


def _outlines(label: np.ndarray, source: str, colors: Mapping[str, str], *, tinted: bool):
    masks = {"pancreas": label != BACKGROUND, "tumor": label == TUMOR}
    return [
        Outline(f"{name}, {source}", mask, colors[name], tinted)
        for name, mask in masks.items()
        if mask.any()
    ]


def screening_page(results: Mapping[str, Any], out: Path) -> str:
    """Page of `s4c screen`: what was called, and a picture of every scan.

    Args:
      results: content of results.json.
      out: folder that holds cases/<id>/overlay.png.
    """
    cases = results["cases"]
    calls = [case.get("decision", "failed") for case in cases]
    tiles = [
        html.Tile("scans", str(len(cases))),
        html.Tile("called PDAC", str(calls.count("PDAC"))),
        html.Tile("called normal", str(calls.count("normal"))),
        html.Tile("failed", str(calls.count("failed"))),
    ]
    shown = [case for case in cases if case["status"] == "done"][: html.MAX_PICTURES]
    linked = {case["id"] for case in shown}
    sections = [html.tiles("Screening", tiles), html.table("Scans", _cases_table(cases, linked))]
    if results["skipped"]:
        rows = [(str(s["path"]), s["reason"]) for s in results["skipped"]]
        skipped = html.table("", Table(("file", "reason"), rows))
        sections.append(html.details(f"{len(rows)} files not used", [skipped]))
    sections += [case_section(case, out / "cases" / case["id"]) for case in shown]
    sections.append(html.provenance(results["manifest"]))
    return html.page(
        "S4C screening",
        sections,
        subtitle="A scan is called PDAC if enough of its voxels are tumor. For research only.",
    )


def _cases_table(cases: Sequence[Mapping[str, Any]], linked: Collection[str]) -> Table:
    columns = ("scan", "call", "score", "tumor ml", "tumor voxels", "pancreas ml", "s", "error")
    names = ("score", "tumor_ml", "num_tumor_voxels", "pancreas_ml", "seconds", "error")
    return Table(
        columns,
        [
            [
                Link(case["id"], case["id"]) if case["id"] in linked else case["id"],
                badge(case.get("decision", "failed")),
                *(case.get(name) for name in names),
            ]
            for case in cases
        ],
    )


def badge(call: str) -> Badge:
    """Colored word for a call."""
    return Badge(call, TONES[call])


def case_section(
    case: Mapping[str, Any], folder: Path, note: str = "", title: str = ""
) -> html.Section:
    """One screened scan, folded: its picture and what was measured in it."""
    png = (folder / "overlay.png").read_bytes()
    caption = (
        f"Score {case['score']:.3f}; tumor {case['tumor_ml']:.2f} ml in "
        f"{case['num_tumor_voxels']} voxels, pancreas {case['pancreas_ml']:.1f} ml."
    )
    alt = f"CT of {case['id']} with the predicted pancreas and tumor outlined"
    picture = html.figure("", png, alt=alt, caption=caption)
    return html.details(title or case["id"], [picture], badge=badge(case["decision"]), note=note)
