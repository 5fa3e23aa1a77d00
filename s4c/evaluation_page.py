"""The page of `s4c evaluate`: Table 1 beside ours, the ROC curve, and every case."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.commands.evaluate import Prediction, failures_note, headline_of_first
from core.metrics.rows import Row
from core.report import figures, html
from core.report.cases import NO, YES, Case, case_table, listed
from core.report.evaluation import metric_tiles, own_data_note, roc_figures, summary_mean_sd
from core.report.table import Badge, Table, percent, percent_ci, proportion
from s4c.report import BADGES, case_section

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
TILES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auc": "AUC",
    "tumor_dsc": "tumor DSC",
    "pancreas_dsc": "pancreas DSC",
}
COLUMNS = {
    "truth": lambda row: _call(row["abnormal"]) if "abnormal" in row else None,
    "call": lambda row: _call(row["called"]) if row["status"] == "done" else BADGES["failed"],
    "right": lambda row: (YES if _is_right(row) else NO) if row["status"] == "done" else None,
    "score": "score",
    "tumor DSC": "tumor_dsc",
    "pancreas DSC": "pancreas_dsc",
    "tumor ml": "true_tumor_ml",
    "learned from": "part",
}
"""Of the cases."""


def evaluation_page(metrics: Mapping[str, Any], predictions: Sequence[Prediction]) -> str:
    """The whole page.

    Args:
      metrics: summary, groups and rows of `s4c.evaluate`.
      predictions: cases behind the rows, in their order.
    """
    summary, rows, charts = metrics["summary"], metrics["rows"], _charts(metrics)
    cases = listed(rows, [_is_right(row) for row in rows])
    return html.page(
        "S4C evaluation",
        [
            html.tiles("Screening", metric_tiles(summary, TILES)),
            html.table("Beside Table 1 of the paper", table_1(metrics), note=_note(summary)),
            *([html.group("Figures", charts)] if charts else []),
            html.table("Cases", case_table("case", COLUMNS, sorted(cases))),
            *(_section(case, predictions[case.index]) for case in cases if case.has_section),
            html.provenance(predictions[0].results["manifest"]),
        ],
        subtitle=f"{len(rows)} annotated scans, {summary['num_abnormal']} with a tumor.",
    )


def _section(case: Case, prediction: Prediction) -> html.Section:
    truth = f"Truth: {'tumor' if case.row['abnormal'] else 'no tumor'}."
    return case_section(case.title, prediction.row, prediction.folder, note=truth)


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
        called_normal = (
            f"{percent(summary['specificity'])} (mean of {summary['num_folds']} folds; "
            f"{percent_ci(summary['specificity_ci'])})"
        )
    return {
        "normal pancreas DSC": summary_mean_sd(summary, "normal_pancreas_dsc"),
        "abnormal pancreas DSC": summary_mean_sd(summary, "abnormal_pancreas_dsc"),
        "tumor DSC": summary_mean_sd(summary, "tumor_dsc"),
        "misses": f"{summary['num_misses']}/{summary['num_abnormal']}",
        "sensitivity": proportion(summary["num_true_positive"], summary["num_abnormal"]),
        "specificity": called_normal,
    }


def _note(summary: Row) -> str:
    return (
        f"{own_data_note('439 scans')} Mean ± standard deviation over cases; intervals cover 95 %. "
        f"{failures_note(summary)}"
    )


def _charts(metrics: Mapping[str, Any]) -> list[html.Section]:
    """ROC curve and tumor DSC of the first system, as far as the cases allow."""
    summary, rows = metrics["summary"], headline_of_first(metrics)
    marks = {
        "K rule": (summary["sensitivity"], summary["specificity"]),
        "paper, multi": PAPER_POINT,
    }
    charts = roc_figures("ROC of the confidence score", rows, "abnormal", summary, marks)
    if abnormal := [row for row in rows if row["abnormal"]]:
        png = figures.overlap_by_size(
            abnormal, overlap="tumor_dsc", size_ml="true_tumor_ml", label="Tumor DSC"
        )
        alt = "Tumor DSC of every abnormal case, from the smallest tumor to the largest"
        charts.append(html.figure("Tumor DSC by size", png, alt=alt))
    return charts


def _call(is_pdac: bool) -> Badge:
    return BADGES["PDAC" if is_pdac else "normal"]


def _is_right(row: Row) -> bool:
    return row.get("called") == row.get("abnormal")
