"""The page of `s4c evaluate`: the papers' tables beside ours, the ROC curve, and every case."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from core.commands.evaluate import (
    Prediction,
    failures_note,
    headline,
    headline_of_first,
)
from core.metrics.rows import Row, column
from core.report import figures, html
from core.report.cases import RIGHT, case_table, listed
from core.report.evaluation import OWN_DATA, metric_tiles, roc_figures
from core.report.table import Badge
from s4c.classifier.config import CLASSIFICATION
from s4c.evaluation_figures import false_alarms, overlaps, sweep
from s4c.evaluation_tables import PUBLISHED, table_1, table_2
from s4c.report import BADGES, case_section

TILES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auc": "AUC",
    "tumor_dsc": "tumor DSC",
    "pancreas_dsc": "pancreas DSC",
}
CALLS = {True: Badge("abnormal", "bad"), False: BADGES["normal"]}
COLUMNS = {
    "truth": lambda row: CALLS[row["abnormal"]] if "abnormal" in row else None,
    "call": lambda row: CALLS.get(row.get("called"), BADGES["failed"]),
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
    both, first = table_2(metrics), next(iter(metrics["groups"]))
    cases = listed(rows, [_is_right(row) for row in rows])
    num_scans = sum(row["group"] == first for row in rows)
    return html.page(
        "S4C evaluation",
        [
            html.tiles("Screening", metric_tiles(summary, TILES)),
            html.table("Beside Table 1 of the paper", table_1(metrics), note=_note(metrics)),
            *([html.table("Beside Table 2 of the paper", both)] if both else []),
            *([html.group("Figures", charts)] if charts else []),
            *false_alarms([case for case in cases if case["group"] == first], predictions),
            html.table(
                "Cases", case_table("case", COLUMNS, sorted(cases, key=itemgetter("index")))
            ),
            *(_section(case, predictions) for case in cases if case["has_section"]),
            html.provenance(predictions[0].results["manifest"]),
        ],
        subtitle=f"{num_scans} annotated scans, {summary['num_abnormal']} with a tumor.",
    )


def _section(case: Row, predictions: Sequence[Prediction]) -> html.Section:
    prediction = predictions[case["index"]]
    truth = f"Truth: {'tumor' if case['abnormal'] else 'no tumor'}."
    return case_section(case["title"], prediction.row, prediction.folder, note=truth)


def _note(metrics: Mapping[str, Any]) -> str:
    summary, papers = metrics["summary"], PUBLISHED[metrics["positive"]].data
    return (
        f"{OWN_DATA.format(papers)} Mean ± standard deviation over cases; intervals cover "
        f"95 %. {failures_note(summary)}"
    )


def _charts(metrics: Mapping[str, Any]) -> list[html.Section]:
    """ROC curve and tumor DSC of the first system, as far as the cases allow."""
    summary, rows = metrics["summary"], headline_of_first(metrics)
    published = PUBLISHED[metrics["positive"]]
    rule = "threshold" if CLASSIFICATION in next(iter(metrics["groups"])) else "K rule"
    marks = {
        rule: (summary["sensitivity"], summary["specificity"]),
        f"paper, {published.best}": published.point,
    }
    charts = roc_figures("ROC of the confidence score", rows, "abnormal", summary, marks)
    # What two phases decide together overlaps nothing.
    overlap = column(rows, "tumor_dsc")
    if abnormal := [row for row, dsc in zip(rows, overlap, strict=True) if np.isfinite(dsc)]:
        png = figures.overlap_by_size(
            abnormal, overlap="tumor_dsc", size_ml="true_tumor_ml", label="Tumor DSC"
        )
        alt = "Tumor DSC of every abnormal case, from the smallest tumor to the largest"
        charts.append(html.figure("Tumor DSC by size", png, alt=alt))
    charts += overlaps(metrics, headline(metrics["rows"]))
    return charts + sweep(rows, metrics["rule"])


def _is_right(row: Row) -> bool:
    return row.get("called") == row.get("abnormal")
