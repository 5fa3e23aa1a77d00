"""What the page of every evaluation shows beside its paper's own tables."""

from collections.abc import Mapping, Sequence

import numpy as np

from core.metrics.classification import roc_curve
from core.metrics.rows import Row
from core.report import figures, html
from core.report.table import ci, mean_sd


def metric_tiles(summary: Row, titles: Mapping[str, str]) -> list[html.Tile]:
    """The defined ones of some metrics, each with its interval where it has one.

    Args:
      summary: with "auc" and "auc_ci", for example.
      titles: what each metric is called.
    """
    intervals = {name: summary.get(f"{name}_ci") for name in titles}
    return [
        html.Tile(title, f"{summary[name]:.3f}", ci(bounds) if bounds else "")
        for (name, title), bounds in zip(titles.items(), intervals.values(), strict=True)
        if np.isfinite(summary.get(name, np.nan))
    ]


def roc_figures(
    title: str,
    rows: Sequence[Row],
    positive: str,
    summary: Row,
    marks: Mapping[str, tuple[float, float]],
) -> list[html.Section]:
    """The ROC curve of the rows' "score"; nothing where a class has no case.

    Args:
      title: of the figure.
      rows: the cases that count.
      positive: column that tells the truth.
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
    """Mean and standard deviation of a column that was summarized; undefined where it was not."""
    return mean_sd(summary.get(name, np.nan), summary.get(f"{name}_sd", np.nan))


def own_data_note(cases: str) -> str:
    """Why the paper's figures and ours are no race; `cases` such as "439 scans"."""
    return (
        f"The paper's figures are of its own {cases}; other data cannot be compared number by "
        "number."
    )
