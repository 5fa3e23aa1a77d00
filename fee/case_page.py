"""The page of one study, to scroll through: its series with the pancreas, and what decided."""

from collections.abc import Sequence

from core.metrics.rows import Row
from core.report import html
from core.report.findings import Finding
from core.report.picture import PRED_COLOR
from core.report.viewer import LabelClass, viewer_page
from core.report.viewer_panel import Panel
from fee.slices import PANCREAS

CLASSES = {PANCREAS: LabelClass("pancreas", PRED_COLOR)}


def case_page(title: str, panels: Sequence[Panel], row: Row) -> str:
    """The whole page; the slices that spoke most for the decision are its findings.

    Args:
      title: of the patient; headers of the scans are not shown.
      panels: of the series that could be read.
      row: of results.json.
    """
    numbers = [
        html.Tile("decision", row["decision"]),
        html.Tile("score", f"{row['score']:.3f}"),
        html.Tile("slices with pancreas", f"{row['num_kept']} of {row['num_slices']}"),
    ]
    findings = [
        Finding(
            f"{explained['series']}, slice {explained['slice'] + 1}",
            explained["center_mm"],
            explained["slice"] + 1,
            note=f"tumor with {explained['tumor']:.3f}",
        )
        for explained in row["explained"]
    ]
    return viewer_page(
        title,
        panels,
        classes=CLASSES,
        findings=findings,
        sections=[html.tiles("FEE-DL diagnosis", numbers)],
        note=row["note"],
    )
