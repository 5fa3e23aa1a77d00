"""The page of `lnmet evaluate`: Tables III and V beside ours, and every case."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from core.commands.evaluate import Prediction, failures_note
from core.metrics.rows import Row
from core.report import html
from core.report.cases import case_table, listed
from core.report.evaluation import OWN_DATA, metric_tiles
from core.report.table import UNDEFINED, Table, p_value, percent, table_of
from lnmet.node_evaluation import KINDS, rates_of
from lnmet.report import case_section
from lnmet.status.measures import PAPER_TABLE_6
from lnmet.status.page import status_sections, status_table

PAPER_TABLE_5 = {
    "node": {
        "paper, nnU-Net": ("45.9 %", "75.4 %", "36.2 %", "36.1 %", "81.0 %", "25.3 %"),
        "paper, LNMet": ("47.7 %", "77.7 %", "37.5 %", "40.6 %", "80.9 %", "29.9 %"),
    },
    "positive_node": {
        "paper, nnU-Net": ("10.2 %", "32.3 %", "11.3 %", "11.7 %", "36.1 %", "12.0 %"),
        "paper, LNMet": ("12.0 %", "38.9 %", "11.7 %", "13.5 %", "41.5 %", "13.3 %"),
    },
    "negative_node": {
        "paper, nnU-Net": ("27.5 %", "51.1 %", "25.4 %", "27.7 %", "60.0 %", "22.9 %"),
        "paper, LNMet": ("27.7 %", "49.0 %", "27.0 %", "28.9 %", "56.2 %", "25.8 %"),
    },
}
"""Of each kind of node, a column for each system of the paper."""
PREFIXES = {"node": "", "positive_node": "positive: ", "negative_node": "negative: "}
"""Of the rows of Table V: before identification, and after it by kind."""
NODE_ROWS = (
    "voxel Dice",
    "voxel recall",
    "voxel precision",
    "instance F",
    "instance recall",
    "instance precision",
)
"""In the order of `core.metrics.detection.RATES`."""
PAPER_TABLE_3 = {
    "spleen": (0.959, 0.384, 8.129),
    "esophagus": (0.745, 0.641, 8.125),
    "stomach": (0.905, 1.519, 19.183),
    "aorta": (0.920, 0.359, 5.863),
    "pancreas": (0.847, 0.975, 12.859),
    "duodenum": (0.764, 1.892, 29.131),
    "SMA": (0.746, 0.860, 28.840),
    "TC&SA": (0.734, 0.305, 22.224),
    "LGA": (0.651, 0.371, 10.420),
    "CHA&PHA": (0.715, 1.424, 24.239),
}
"""Dice, ASD and HD in mm of Table III, both phases."""
PAPER_PDAC = (0.683, 2.186, 12.805)
"""Medians of the tumor (Sec. IV-B)."""
TILES = {
    "node_dice": "voxel Dice of nodes",
    "node_instance_f": "instance F",
    "node_instance_recall": "instance recall",
    "node_instance_precision": "instance precision",
    "positive_node_instance_f": "instance F, positive",
    "negative_node_instance_f": "instance F, negative",
    "pdac_dsc": "tumor DSC",
}
COLUMNS = {
    "node Dice": "node_dice",
    "instance F": "node_instance_f",
    "found": lambda row: _found(row),
    "predicted": "node_num_pred",
    "tumor DSC": "pdac_dsc",
    "pancreas DSC": "pancreas_dsc",
    "learned from": "part",
}
"""Of the cases."""


def evaluation_page(metrics: Mapping[str, Any], predictions: Sequence[Prediction]) -> str:
    """The whole page.

    Args:
      metrics: summary, groups, comparisons and rows of `lnmet.evaluate`.
      predictions: cases behind the rows, in their order.
    """
    summary, rows = metrics["summary"], metrics["rows"]
    cases = listed(rows, [row.get("node_instance_f", float("nan")) for row in rows])
    return html.page(
        "LNMet evaluation",
        [
            html.tiles("Segmentation", metric_tiles(summary, TILES)),
            *_status(metrics),
            *_tables(metrics),
            html.table(
                "Cases", case_table("case", COLUMNS, sorted(cases, key=itemgetter("index")))
            ),
            *(_section(case, predictions) for case in cases if case["has_section"]),
            html.provenance(predictions[0].results["manifest"]),
        ],
        subtitle=f"{len(rows)} annotated examinations of {summary['num_patients']} patients.",
    )


def _status(metrics: Mapping[str, Any]) -> list[html.Section]:
    if "status" not in metrics:
        return []
    note = OWN_DATA.format("749 patients")
    return status_sections("Beside Table VI of the paper", metrics["status"], PAPER_TABLE_6, note)


def _tables(metrics: Mapping[str, Any]) -> list[html.Section]:
    summary, known = metrics["summary"], {name for row in metrics["rows"] for name in row}
    note = f"{OWN_DATA.format('749 patients')} Means over patients. {failures_note(summary)}"
    sections = []
    if "node_dice" in known:
        sections.append(html.table("Beside Table V of the paper", table_5(metrics), note=note))
    if metrics["comparisons"]:
        sections.append(html.table("Paired tests", comparisons_table(metrics["comparisons"])))
    if "pancreas_dsc" in known or "spleen_dsc" in known:
        sections.append(html.table("Beside Table III of the paper", table_3(metrics), note=note))
    if "pdac_dsc" in known:
        sections.append(html.table("Tumor, medians (Sec. IV-B)", table_pdac(metrics)))
    return sections


def _section(case: Row, predictions: Sequence[Prediction]) -> html.Section:
    prediction = predictions[case["index"]]
    note = f"Truth: {case['node_num_true']} nodes." if "node_num_true" in case else ""
    return case_section(case["title"], prediction.row, prediction.folder, note=note)


def table_5(metrics: Mapping[str, Any]) -> Table:
    """Our rates in the paper's rows, beside the paper's own; a column for each system.

    Rows of positive and negative nodes are there where a system tells them apart.
    """
    groups = {
        f"ours, {name}": summary
        for name, summary in metrics["groups"].items()
        if "node_dice" in summary
    }
    kinds = [k for k in KINDS if any(f"{k}_dice" in summary for summary in groups.values())]
    rows = []
    for kind in kinds:
        names = [f"{PREFIXES[kind]}{name}" for name in NODE_ROWS]
        ours = [
            [percent(summary.get(key, float("nan"))) for key in rates_of(kind)]
            for summary in groups.values()
        ]
        rows += zip(names, *ours, *PAPER_TABLE_5[kind].values(), strict=True)
    return Table(("", *groups, *PAPER_TABLE_5["node"]), rows)


def comparisons_table(comparisons: Sequence[Row]) -> Table:
    """How two systems differ on the same patients."""
    columns = {
        "of": "name",
        "first": "first",
        "second": "second",
        "difference": "mean_difference",
        "Wilcoxon": lambda row: p_value(_defined(row["p_value"])),
        "median of 1,000 resamplings": lambda row: p_value(
            _defined(row["median_bootstrap_p_value"])
        ),
        "patients": "num",
    }
    return table_of(columns, comparisons)


def table_3(metrics: Mapping[str, Any]) -> Table:
    """Dice, ASD and HD of every organ and vessel, ours and the paper's."""
    columns = ("", *(f"{name}, {who}" for who in ("ours", "paper") for name in _MEASURES))
    rows = []
    for organ, paper in PAPER_TABLE_3.items():
        names = (f"{organ}_dsc", f"{organ}_asd_mm", f"{organ}_hd_mm")
        ours = (metrics["summary"].get(name, float("nan")) for name in names)
        rows.append((organ, *ours, *paper))
    return Table(columns, rows)


def main_table(metrics: Mapping[str, Any]) -> Table:
    """Of the status where it was told, else of nodes, else of organs, else of the tumor."""
    known = {name for row in metrics["rows"] for name in row}
    if methods := metrics.get("status", {}).get("methods"):
        return status_table(methods)
    if "node_dice" in known:
        return table_5(metrics)
    is_tumor_alone = "pdac_dsc" in known and "spleen_dsc" not in known
    return table_pdac(metrics) if is_tumor_alone else table_3(metrics)


def table_pdac(metrics: Mapping[str, Any]) -> Table:
    """Medians of the tumor, ours and the paper's."""
    names = ("pdac_dsc_median", "pdac_asd_mm_median", "pdac_hd_mm_median")
    ours = [metrics["summary"].get(name, float("nan")) for name in names]
    return Table(("", "ours", "paper"), list(zip(_MEASURES, ours, PAPER_PDAC, strict=True)))


_MEASURES = ("Dice", "ASD mm", "HD mm")


def _defined(p: float | None) -> float:
    """A p value of metrics.json, where it may be null."""
    return float("nan") if p is None else p


def _found(row: Row) -> str:
    if "node_num_found" not in row:
        return UNDEFINED
    return f"{row['node_num_found']} of {row['node_num_true']}"
