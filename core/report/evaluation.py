"""What the page of every evaluation shows beside its paper's own tables."""

from collections.abc import Mapping, Sequence

import numpy as np

from core.metrics.classification import roc_curve
from core.metrics.rows import Row
from core.report import figures, html
from core.report.table import ci, mean_sd

OWN_DATA = "The paper's figures are of its own {}; other data cannot be compared number by number."
"""To be filled in with "439 scans"."""


def metric_tiles(summary: Row, titles: Mapping[str, str]) -> list[html.Tile]:
    """The metrics of these titles that are defined, with their intervals as far as there are any.

    An interval is named like its metric: "auc" and "auc_ci".
    """
    tiles = []
    for name, title in titles.items():
        if np.isfinite(summary.get(name, np.nan)):
            bounds = summary.get(f"{name}_ci")
            tiles.append(html.Tile(title, f"{summary[name]:.3f}", ci(bounds) if bounds else ""))
    return tiles


def roc_figures(
    title: str,
    rows: Sequence[Row],
    positive: str,
    summary: Row,
    marks: Mapping[str, tuple[float, float]],
) -> list[html.Section]:
    """The ROC curve of the rows' "score"; nothing where one of the two classes has no case.

    Args:
      title: of the figure.
      rows: the cases that count.
      positive: column of the truth.
      summary: of these rows, with "auc" and "auc_ci".
      marks: (sensitivity, specificity) by name.
    """
    is_positive = np.array([row[positive] for row in rows], bool)
    if is_positive.all() or not is_positive.any():
        return []
    points = roc_curve(np.array([row["score"] for row in rows]), is_positive)
    png = figures.roc(points, area=summary["auc"], interval=summary["auc_ci"], marks=marks)
    return [html.figure(title, png, alt=f"ROC curve with an area of {summary['auc']:.3f}")]


def summary_mean_sd(summary: Row, name: str) -> str:
    """Mean and standard deviation of a column, "–" where it was not summarized."""
    return mean_sd(summary.get(name, np.nan), summary.get(f"{name}_sd", np.nan))
