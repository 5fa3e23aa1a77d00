"""What `lnmet register` shows: both phases in two colors, before and after."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from core.metrics.rows import Row
from core.report import html
from core.report.cases import results_page
from core.report.overlay import WINDOW_HU
from core.report.style import DPI, to_png
from core.report.viewer import viewer_page
from core.report.viewer_panel import MAX_VOXELS, panel
from core.volume import Volume, canonical

COLUMNS = {
    "overlap": "overlap",
    "descriptors before": "mind_distance_before",
    "after": "mind_distance_after",
    "folding %": "folding_percent",
    "inverse consistency mm": "inverse_consistency_mm",
}
"""Of the pairs."""


def before_and_after(venous: Volume, before: Volume, after: Volume) -> bytes:
    """PNG of the middle coronal and sagittal slices: the venous phase cyan, the arterial one red.

    Where both agree the picture is gray.

    Args:
      venous: canonical CT.
      before: arterial CT on its grid, by position alone.
      after: arterial CT on its grid, registered.
    """
    figure = Figure((12.0, 3.4), dpi=DPI, facecolor="black")
    for column, (axis, arterial, name) in enumerate(
        [
            (1, before, "coronal, before"),
            (1, after, "coronal, after"),
            (2, before, "sagittal, before"),
            (2, after, "sagittal, after"),
        ]
    ):
        axes = figure.add_axes((column / 4 + 0.002, 0.02, 0.246, 0.88), facecolor="black")
        red, cyan = (_gray(np.take(v.array, v.shape[axis] // 2, axis)) for v in (arterial, venous))
        _, *others = venous.spacing_mm
        width_mm = others[2 - axis]
        aspect = venous.spacing_mm[0] / width_mm
        axes.imshow(np.stack([red, cyan, cyan], -1), origin="lower", aspect=aspect)
        axes.set_title(name, color="white", fontsize=9)
        axes.set_axis_off()
    return to_png(figure)


def registration_page(results: Mapping[str, Any], out: Path) -> str:
    """Page of `lnmet register`: how well each pair fits, and its picture.

    Args:
      results: content of results.json.
      out: folder that holds cases/<id>/overlay.png.
    """

    def section(case: Mapping[str, Any]) -> html.Section:
        png = (out / "cases" / case["id"] / "overlay.png").read_bytes()
        caption = "Venous phase cyan, arterial phase red; where both agree the picture is gray."
        picture = html.figure("", png, alt="Both phases in two colors", caption=caption)
        return html.details(case["id"], [picture], note=case["note"])

    return results_page(
        results,
        system="LNMet",
        job="registration",
        case="pair",
        labels={"registered": "registered", "failed": "failed"},
        columns=COLUMNS,
        section=section,
        subtitle=f"Arterial to venous phase by {results['method']}.",
    )


def pair_page(title: str, scans: Mapping[str, Volume], row: Row) -> str:
    """Page of one pair, to scroll through: both phases side by side, at one place.

    Args:
      title: of the pair.
      scans: both on one grid, by what they are.
      row: of results.json.
    """
    panels = [
        panel(name, canonical(scan), max_voxels=MAX_VOXELS // len(scans))
        for name, scan in scans.items()
    ]
    return viewer_page(title, panels, classes={}, subtitle="LNMet registration", note=row["note"])


def _gray(plane: np.ndarray) -> np.ndarray:
    low, high = WINDOW_HU
    return np.clip((plane.astype(np.float32) - low) / (high - low), 0, 1)
