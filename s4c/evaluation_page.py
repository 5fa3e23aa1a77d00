"""The page of `s4c evaluate`: Table 1 beside ours, the ROC curve, and every case."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.metrics.classification import roc_curve
from core.metrics.compare import Interval
from core.report import figures, html
from core.report.table import Badge, Link, Table, mean_sd, proportion
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
MAX_PICTURES = 40
"""Cases shown with a picture: the report stays small enough to send."""


def evaluation_page(metrics: Mapping[str, Any], results: Mapping[str, Any], pred: Path) -> str:
    """The whole page.

    Args:
      metrics: summary and rows of `s4c.evaluate`.
      results: content of the screening's results.json.
      pred: folder of the screening, for its pictures.
    """
    summary, rows = metrics["summary"], metrics["rows"]
    sections = [
        html.tiles("Screening", _tiles(summary)),
        html.table("Beside Table 1 of the paper", table_1(summary), note=_note(summary)),
    ]
    sections += [html.group("Figures", charts)] if (charts := _charts(rows, summary)) else []
    sections.append(html.table("Cases", _cases_table(rows)))
    by_id = {case["id"]: case for case in results["cases"]}
    done = [row for row in rows if row["status"] == "done"]
    # What went wrong first: misses and false alarms are what a reader looks for.
    for row in sorted(done, key=lambda r: r["called"] == r["abnormal"])[:MAX_PICTURES]:
        truth = f"Truth: {'tumor' if row['abnormal'] else 'no tumor'}."
        sections.append(case_section(by_id[row["id"]], pred, note=truth))
    sections.append(html.provenance(results["manifest"]))
    return html.page(
        "S4C evaluation",
        sections,
        subtitle=f"{len(rows)} annotated scans, {summary['num_abnormal']} with a tumor.",
    )


def table_1(summary: Mapping[str, Any]) -> Table:
    """Our figures in the paper's rows, beside the paper's own."""
    ours = {
        "scale": "ours",
        "normal pancreas DSC": _dsc(summary, "normal_pancreas_dsc"),
        "abnormal pancreas DSC": _dsc(summary, "abnormal_pancreas_dsc"),
        "tumor DSC": _dsc(summary, "tumor_dsc"),
        "misses": f"{summary['num_misses']}/{summary['num_abnormal']}",
        "sensitivity": proportion(summary["num_true_positive"], summary["num_abnormal"]),
        "specificity": proportion(summary["num_true_negative"], summary["num_normal"]),
    }
    columns = ("", ours["scale"], *(f"paper, {scale}" for scale in PAPER["scale"]))
    names = [name for name in PAPER if name != "scale"]
    return Table(columns, [(name, ours[name], *PAPER[name]) for name in names])


def _dsc(summary: Mapping[str, Any], name: str) -> str:
    nan = float("nan")
    return mean_sd(summary.get(name, nan), summary.get(f"{name}_sd", nan))


def _note(summary: Mapping[str, Any]) -> str:
    return (
        "The paper's figures are of its own 439 scans; other data cannot be compared number by "
        "number. Mean ± standard deviation over cases; intervals cover 95 %. "
        f"{summary['num_failed']} scans failed."
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


def _charts(rows: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> list[html.Section]:
    """ROC curve and tumor DSC, as far as the cases allow."""
    done = [row for row in rows if row["status"] == "done"]
    abnormal = np.array([row["abnormal"] for row in done], bool)
    charts = []
    if abnormal.any() and not abnormal.all():
        points = roc_curve(np.array([row["score"] for row in done]), abnormal)
        marks = {
            "K rule": (summary["sensitivity"], summary["specificity"]),
            "paper, multi": PAPER_POINT,
        }
        png = figures.roc(points, area=summary["auc"], interval=summary["auc_ci"], marks=marks)
        alt = f"ROC curve with an area of {summary['auc']:.3f}"
        charts.append(html.figure("ROC of the confidence score", png, alt=alt))
    if abnormal.any():
        with_tumor = [row for row in done if row["abnormal"]]
        png = figures.overlap_by_size(
            with_tumor, overlap="tumor_dsc", size_ml="true_tumor_ml", label="Tumor DSC"
        )
        alt = "Tumor DSC of every abnormal case, from the smallest tumor to the largest"
        charts.append(html.figure("Tumor DSC by size", png, alt=alt))
    return charts


def _cases_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = ("case", "truth", "call", "right", "score", "tumor DSC", "pancreas DSC", "tumor ml")
    return Table(columns, [_case_cells(row) for row in rows])


def _case_cells(row: Mapping[str, Any]) -> tuple:
    truth = badge("PDAC" if row["abnormal"] else "normal")
    if row["status"] != "done":
        return (row["id"], truth, badge("failed"), None, None, None, None, row["true_tumor_ml"])
    right = row["called"] == row["abnormal"]
    return (
        Link(row["id"], row["id"]),
        truth,
        badge("PDAC" if row["called"] else "normal"),
        Badge("yes", "good") if right else Badge("no", "bad"),
        row["score"],
        row["tumor_dsc"],
        row["pancreas_dsc"],
        row["true_tumor_ml"],
    )
