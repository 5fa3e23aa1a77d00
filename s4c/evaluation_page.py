"""The page of `s4c evaluate`: Table 1 beside ours, the ROC curve, and every case."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from core.commands.evaluate import Prediction, failures_note, headline_of_first
from core.metrics.rows import Row
from core.report import figures, html
from core.report.cases import RIGHT, case_table, listed
from core.report.evaluation import OWN_DATA, metric_tiles, roc_figures, summary_mean_sd
from core.report.table import Table, ci, percent, proportion
from s4c.report import BADGES, case_section

PAPER = {
    "64³": ("86.90 ± 8.57 %", "80.98 ± 10.75 %", "57.25 ± 28.05 %", "10/136", "92.7 %", "99.0 %"),
    "32³": ("82.01 ± 12.21 %", "75.66 ± 19.92 %", "53.84 ± 26.08 %", "7/136", "94.9 %", "96.0 %"),
    "16³": ("61.53 ± 20.64 %", "64.14 ± 20.16 %", "42.53 ± 26.63 %", "4/136", "97.1 %", "86.5 %"),
    "multi": ("84.52 ± 11.11 %", "78.60 ± 18.34 %", "56.46 ± 26.23 %", "8/136", "94.1 %", "98.5 %"),
}
"""Table 1 of the paper, a row for each scale."""
PAPER_POINT = (0.941, 0.985)
"""Sensitivity and specificity of the multi-scale cascade (Table 1)."""
TILES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auc": "AUC",
    "tumor_dsc": "tumor DSC",
    "pancreas_dsc": "pancreas DSC",
}
CALLS = {True: "PDAC", False: "normal"}
COLUMNS = {
    "truth": lambda row: BADGES[CALLS[row["abnormal"]]] if "abnormal" in row else None,
    "call": lambda row: BADGES[CALLS.get(row.get("called"), "failed")],
    "right": lambda row: RIGHT[_is_right(row)] if "called" in row else None,
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
            html.table(
                "Cases", case_table("case", COLUMNS, sorted(cases, key=itemgetter("index")))
            ),
            *(_section(case, predictions) for case in cases if case["has_section"]),
            html.provenance(predictions[0].results["manifest"]),
        ],
        subtitle=f"{len(rows)} annotated scans, {summary['num_abnormal']} with a tumor.",
    )


def _section(case: Row, predictions: Sequence[Prediction]) -> html.Section:
    prediction = predictions[case["index"]]
    truth = f"Truth: {'tumor' if case['abnormal'] else 'no tumor'}."
    return case_section(case["title"], prediction.row, prediction.folder, note=truth)


def table_1(metrics: Mapping[str, Any]) -> Table:
    """Our figures in the paper's rows, beside the paper's own; a column for each system."""
    groups = metrics["groups"]
    titles = [f"ours, {name}" if len(groups) > 1 else "ours" for name in groups]
    ours = [_column(summary) for summary in groups.values()]
    columns = ("", *titles, *(f"paper, {scale}" for scale in PAPER))
    values = [column.values() for column in ours]
    return Table(columns, list(zip(ours[0], *values, *PAPER.values(), strict=True)))


def _column(summary: Row) -> dict[str, str]:
    """Figures of one system, in the order of Table 1."""
    called_normal = proportion(summary["num_true_negative"], summary["num_normal"])
    if summary["num_folds"] > 1:
        called_normal = (
            f"{percent(summary['specificity'])} (mean of {summary['num_folds']} folds; "
            f"{ci(summary['specificity_ci'], in_percent=True)})"
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
        f"{OWN_DATA.format('439 scans')} Mean ± standard deviation over cases; intervals cover "
        f"95 %. {failures_note(summary)}"
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


def _is_right(row: Row) -> bool:
    return row.get("called") == row.get("abnormal")
