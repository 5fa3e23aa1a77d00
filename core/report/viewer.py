"""The page of one case: its series to scroll through in three planes, and what was found in them.

One file that opens without a network. The script on it is ours, and the page's own policy allows no
other: what it shows comes as data.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from core.report import html
from core.report.findings import Finding
from core.report.overlay import FRAME, WINDOW_HU
from core.report.table import table_of, without_empty
from core.report.viewer_panel import Panel, hu_of_levels

WINDOWS_HU = {
    "soft tissue": WINDOW_HU,
    "liver": (-45.0, 105.0),
    "vessels": (0.0, 600.0),
    "bone": (-500.0, 1300.0),
    "lung": (-1350.0, 150.0),
}
"""What is shown black and white; the first is that of all pictures."""

COLUMNS = {
    "finding": "name",
    "ml": "ml",
    "long axis mm": "long_axis_mm",
    "short axis mm": "short_axis_mm",
    "slice": "slice_number",
    "LPS mm": lambda finding: _lps(finding["center_mm"]),
    "note": "note",
}
"""Of the findings."""


class Plane(NamedTuple):
    """A plane as radiologists see it: from below, from the front, from the patient's left.

    Args:
      name: of the plane.
      axis: index (d, h, w) that it cuts.
      row: index that its rows run along, from the top or, head up, from the bottom.
      column: index that its columns run along, from the left.
      head_up: whether row 0 belongs at the bottom.
      marks: what lies left, right, on top and at the bottom.
    """

    name: str
    axis: int
    row: int
    column: int
    head_up: bool
    marks: tuple[str, str, str, str]


PLANES = (
    Plane("axial", 0, 1, 2, False, ("R", "L", "A", "P")),
    Plane("coronal", 1, 0, 2, True, ("R", "L", "H", "F")),
    Plane("sagittal", 2, 0, 1, True, ("A", "P", "H", "F")),
)
"""Of canonical scans, which run to the head, the back and the left."""


class LabelClass(NamedTuple):
    """How a class of the label maps is called, and its color as #rrggbb."""

    name: str
    color: str


def viewer_page(
    title: str,
    panels: Sequence[Panel],
    *,
    classes: Mapping[int, LabelClass],
    findings: Sequence[Finding] = (),
    sections: Sequence[html.Section] = (),
    subtitle: str = "",
    note: str = "",
) -> str:
    """The whole page as one HTML document.

    Args:
      title: of the case.
      panels: its series, at least one, shown side by side; they move together by their position in
        the patient.
      classes: of the label maps, by id; those with higher ids come last.
      findings: listed; a click on one moves all planes there.
      sections: above the planes.
      subtitle: one line under the title.
      note: under the findings.

    Raises:
      ValueError: no series.
    """
    if not panels:
        raise ValueError("viewer_page needs a series to show")
    script = "".join(html.source(f"viewer{part}.js") for part in ("_data", "_planes", ""))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return html.render(
        "viewer.html",
        title=title,
        sections=sections,
        subtitle=subtitle,
        panels=panels,
        planes=PLANES,
        classes=dict(sorted(classes.items())),
        findings=without_empty(table_of(COLUMNS, [finding._asdict() for finding in findings])),
        note=note,
        windows=WINDOWS_HU,
        scene=_scene(panels, classes, findings),
        script=Markup(script),
        script_digest=digest,
    )


def _scene(
    panels: Sequence[Panel], classes: Mapping[int, LabelClass], findings: Sequence[Finding]
) -> dict[str, Any]:
    """What the script reads."""
    centers = [finding.center_mm for finding in findings]
    return {
        "planes": [plane._asdict() for plane in PLANES],
        "series": [
            {
                "shape": panel.shape,
                "source": panel.source_shape,
                "block": panel.block,
                "to_mm": panel.affine_lps[:3].tolist(),
                "to_index": np.linalg.inv(panel.affine_lps)[:3].tolist(),
            }
            for panel in panels
        ],
        "hu": hu_of_levels(),
        "windows": list(WINDOWS_HU.values()),
        "classes": {id_: of._asdict() for id_, of in classes.items()},
        "centers": centers,
        "start": (*centers, panels[0].focus_mm)[0],
        "crosshair": FRAME,
    }


def _lps(point: Sequence[float]) -> str:
    return ", ".join(f"{mm:.0f}".replace("-", "−") for mm in point)
