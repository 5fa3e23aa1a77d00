"""The page of `s4c evaluate`: Table 1 beside ours, the ROC curve, and every case."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from core.commands.evaluate import Prediction, failures_note, headline
from core.metrics.classification import roc_curve
from core.metrics.compare import Interval
from core.report import figures, html
from core.report.table import Badge, Link, Table, mean_sd, percent, proportion, without_empty
from s4c.report import badge, case_section

PAPER = {
    "scale": ("64³", "32³", "16³", "multi"),
    "normal pancreas DSC": (
        "86.90 ± 8.57 %",
        "82.01 ± 12.21 %",
        "61.53 ± 20.64 %",
        "84.52 ± 11.11 %",
    ),
    "abnormal pancreas DSC": (
        "80.98 ± 10.75 %",
        "75.66 ± 19.92 %",
        "64.14 ± 20.16 %",
        "78.60 ± 18.34 %",
    ),
    "tumor DSC": ("57.25 ± 28.05 %", "53.84 ± 26.08 %", "42.53 ± 26.63 %", "56.46 ± 26.23 %"),
    "misses": ("10/136", "7/136", "4/136", "8/136"),
    "sensitivity": ("92.7 %", "94.9 %", "97.1 %", "94.1 %"),
    "specificity": ("99.0 %", "96.0 %", "86.5 %", "98.5 %"),
}
"""Table 1 of the paper, column by column."""
PAPER_POINT = (0.941, 0.985)
"""Sensitivity and specificity of the multi-scale cascade (Table 1)."""


def evaluation_page(metrics: Mapping[str, Any], predictions: Sequence[Prediction]) -> str:
    """The whole page.

    Args:
      metrics: summary, groups and rows of `s4c.evaluate`.
      predictions: cases behind the rows, in their order.
    """
    summary, rows = metrics["summary"], metrics["rows"]
    done = [i for i, row in enumerate(rows) if row["status"] == "done"]
    # What went wrong first: misses and false alarms are what a reader looks for.
    shown = sorted(done, key=lambda i: rows[i]["called"] == rows[i]["abnormal"])[
        : html.MAX_PICTURES
    ]
    titles = {i: _title(rows[i], metrics) for i in range(len(rows))}
    sections = [
        html.tiles("Screening", _tiles(summary)),
        html.table("Beside Table 1 of the paper", table_1(metrics), note=_note(summary)),
    ]
    sections += [html.group("Figures", charts)] if (charts := _charts(rows, metrics)) else []
    sections.append(html.table("Cases", _cases_table(rows, titles, set(shown))))
    for i in shown:
        truth = f"Truth: {'tumor' if rows[i]['abnormal'] else 'no tumor'}."
        case, folder = predictions[i].row, predictions[i].folder
        sections.append(case_section(case, folder, note=truth, title=titles[i]))
    sections.append(html.provenance(predictions[0].results["manifest"]))
    return html.page(
        "S4C evaluation",
        sections,
        subtitle=f"{len(rows)} annotated scans, {summary['num_abnormal']} with a tumor.",
    )


def table_1(metrics: Mapping[str, Any]) -> Table:
    """Our figures in the paper's rows, beside the paper's own; a column for each system."""
    groups = metrics["groups"]
    titles = [f"ours, {name}" if len(groups) > 1 else "ours" for name in groups]
    ours = [_column(summary) for summary in groups.values()]
    columns = ("", *titles, *(f"paper, {scale}" for scale in PAPER["scale"]))
    names = [name for name in PAPER if name != "scale"]
    return Table(columns, [(n, *(column[n] for column in ours), *PAPER[n]) for n in names])


def _column(summary: Mapping[str, Any]) -> dict[str, str]:
    called_normal = proportion(summary["num_true_negative"], summary["num_normal"])
    if summary["num_folds"] > 1:
        low, high = summary["specificity_ci"]
        called_normal = (
            f"{percent(summary['specificity'])} (mean of {summary['num_folds']} folds; "
            f"95 % CI {100 * low:.1f}–{100 * high:.1f})"
        )
    return {
        "normal pancreas DSC": _dsc(summary, "normal_pancreas_dsc"),
        "abnormal pancreas DSC": _dsc(summary, "abnormal_pancreas_dsc"),
        "tumor DSC": _dsc(summary, "tumor_dsc"),
        "misses": f"{summary['num_misses']}/{summary['num_abnormal']}",
        "sensitivity": proportion(summary["num_true_positive"], summary["num_abnormal"]),
        "specificity": called_normal,
    }


def _title(row: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Case id, with what else tells rows apart."""
    words = [row["id"], row["group"] if len(metrics["groups"]) > 1 else None]
    words.append(None if row["fold"] is None else f"fold {row['fold']}")
    return " ".join(word for word in words if word)


def _dsc(summary: Mapping[str, Any], name: str) -> str:
    return mean_sd(summary[name], summary[f"{name}_sd"])


def _note(summary: Mapping[str, Any]) -> str:
    return (
        "The paper's figures are of its own 439 scans; other data cannot be compared number by "
        "number. Mean ± standard deviation over cases; intervals cover 95 %. "
        + failures_note(summary)
    )


def _tiles(summary: Mapping[str, Any]) -> list[html.Tile]:
    names = {
        "sensitivity": "sensitivity",
        "specificity": "specificity",
        "auc": "AUC",
        "tumor_dsc": "tumor DSC",
        "pancreas_dsc": "pancreas DSC",
    }
    return [
        html.Tile(title, f"{summary[name]:.3f}", _interval(summary[f"{name}_ci"]))
        for name, title in names.items()
        if name in summary
    ]


def _interval(interval: Interval) -> str:
    if np.isnan(interval.low):
        return "no interval"
    return f"95 % CI {interval.low:.3f}–{interval.high:.3f}"


def _charts(rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]) -> list[html.Section]:
    """ROC curve and tumor DSC of the first system, as far as the cases allow."""
    name, summary = next(iter(metrics["groups"].items()))
    counted = [row for row in headline(rows) if row["group"] == name]
    abnormal = np.array([row["abnormal"] for row in counted], bool)
    charts = []
    if abnormal.any() and not abnormal.all():
        points = roc_curve(np.array([row["score"] for row in counted]), abnormal)
        marks = {
            "K rule": (summary["sensitivity"], summary["specificity"]),
            "paper, multi": PAPER_POINT,
        }
        png = figures.roc(points, area=summary["auc"], interval=summary["auc_ci"], marks=marks)
        alt = f"ROC curve with an area of {summary['auc']:.3f}"
        charts.append(html.figure("ROC of the confidence score", png, alt=alt))
    if abnormal.any():
        with_tumor = [row for row in counted if row["abnormal"]]
        png = figures.overlap_by_size(
            with_tumor, overlap="tumor_dsc", size_ml="true_tumor_ml", label="Tumor DSC"
        )
        alt = "Tumor DSC of every abnormal case, from the smallest tumor to the largest"
        charts.append(html.figure("Tumor DSC by size", png, alt=alt))
    return charts


def _cases_table(
    rows: Sequence[Mapping[str, Any]], titles: Mapping[int, str], shown: Collection[int]
) -> Table:
    columns = ("case", "truth", "call", "right", "score", "tumor DSC", "pancreas DSC", "tumor ml")
    lines = []
    for i, row in enumerate(rows):
        name = Link(titles[i], titles[i]) if i in shown else titles[i]
        lines.append((name, *_case_cells(row), row["part"]))
    return without_empty((*columns, "learned from"), lines)


def _case_cells(row: Mapping[str, Any]) -> tuple:
    """What stands behind the name of a case."""
    truth = badge("PDAC" if row["abnormal"] else "normal") if "abnormal" in row else None
    if row["status"] != "done":
        return (truth, badge("failed"), None, None, None, None, row.get("true_tumor_ml"))
    right = row["called"] == row["abnormal"]
    return (
        truth,
        badge("PDAC" if row["called"] else "normal"),
        Badge("yes", "good") if right else Badge("no", "bad"),
        row["score"],
        row["tumor_dsc"],
        row["pancreas_dsc"],
        row["true_tumor_ml"],
    )
