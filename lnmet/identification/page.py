"""Pages of `lnmet identify` and of its evaluation: Table IV beside ours, and every node."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core import json_io
from core.commands.evaluate import failures_note, headline
from core.metrics.classification import roc_curve
from core.metrics.rows import Row
from core.report import figures, html
from core.report.cases import case_table, listed, results_page
from core.report.evaluation import OWN_DATA, metric_tiles
from core.report.table import Table, badges, ci, table_of
from lnmet.identification.metrics import TABLE_4, nodes_of

PAPER_TABLE_4 = (0.854, 0.789, 0.771, 0.742, 0.800)
"""In the order of `TABLE_4`: means over five folds."""
TITLES = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}
COLUMNS = {
    "nodes": "num_nodes",
    "metastatic": "num_metastatic",
    "called metastatic": "num_called_metastatic",
}
"""Of the examinations."""
NODE_COLUMNS = {
    "truth": lambda node: "metastatic" if node["is_metastatic"] else "other",
    "probability": "probability",
    "mm³": "volume_mm3",
}
BADGES = badges({"identified": "good", "failed": "warn"})


def identification_page(results: Mapping[str, Any], out: Path) -> str:
    """Page of `lnmet identify`: every node and how probably it is metastatic.

    Args:
      results: content of results.json.
      out: folder that holds cases/<id>/prediction.json.
    """
    return results_page(
        results,
        system="LNMet",
        job="identification",
        case="examination",
        labels={"identified": "identified", "failed": "failed"},
        columns=COLUMNS,
        section=lambda case: _section(case, out / "cases" / case["id"]),
        subtitle="Annotated lymph nodes, told metastatic or not.",
    )


def _section(case: Row, folder: Path) -> html.Section:
    nodes = json_io.read_json(folder / "prediction.json")["nodes"]
    table = html.table("", table_of(NODE_COLUMNS, nodes))
    return html.details(case["id"], [table], badge=BADGES[case["decision"]])


def identification_evaluation_page(metrics: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Page of `lnmet evaluate` on the output of `lnmet identify`.

    Args:
      metrics: summary and rows.
      manifest: of the first output.
    """
    summary, rows = metrics["summary"], metrics["rows"]
    note = f"{OWN_DATA.format('2,467 nodes of 749 patients')} {failures_note(summary)}"
    return html.page(
        "LNMet evaluation of nodes",
        [
            html.tiles("Identification", metric_tiles(summary, TITLES)),
            html.table("Beside Table IV of the paper", table_4(metrics), note=note),
            *_roc(metrics),
            html.table("Cases", case_table("case", COLUMNS, listed(rows))),
            html.provenance(manifest),
        ],
        subtitle=f"{summary['num_nodes']} annotated nodes of {summary['num_patients']} patients, "
        f"{summary['num_metastatic']} metastatic.",
    )


def table_4(metrics: Mapping[str, Any]) -> Table:
    """Mean over folds and all nodes pooled, with intervals by patient, beside the paper's."""
    summary = metrics["summary"]
    rows = [
        (
            TITLES[name],
            summary[f"{name}_of_folds"],
            summary[name],
            ci(summary[f"{name}_ci"]),
            paper,
        )
        for name, paper in zip(TABLE_4, PAPER_TABLE_4, strict=True)
    ]
    return Table(("", "mean of folds", "pooled", "95 % CI", "paper"), rows)


def _roc(metrics: Mapping[str, Any]) -> list[html.Section]:
    summary, nodes = metrics["summary"], nodes_of(headline(metrics["rows"]))
    if not np.isfinite(summary["auc"]):
        return []
    marks = {"threshold": (summary["sensitivity"], summary["specificity"])}
    points = roc_curve(nodes.probabilities, nodes.is_metastatic)
    png = figures.roc(points, area=summary["auc"], interval=summary["auc_ci"], marks=marks)
    alt = f"ROC curve over nodes with an area of {summary['auc']:.3f}"
    return [html.figure("Nodes", png, alt=alt)]
