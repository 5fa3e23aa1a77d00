"""The page of `lnmet study`: Tables IV to VII beside ours, curves, and what was left out."""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from core.report import html
from core.report.evaluation import OWN_DATA
from core.report.table import table_of
from lnmet.evaluation_page import comparisons_table, table_3, table_5
from lnmet.identification.page import table_4
from lnmet.status.measures import PAPER_TABLE_6, PAPER_TABLE_7
from lnmet.status.page import status_sections

FOLDS_NOTE = "Ours pooled over folds, with intervals of 95 %. "


def study_page(metrics: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
      metrics: content of merged/metrics.json.
    """
    rows, external = metrics["status"]["rows"], metrics["external"].items()
    own = OWN_DATA.format("749 patients")
    sections = status_sections("Table VI", metrics["status"], PAPER_TABLE_6, FOLDS_NOTE + own)
    for (name, of_one), paper in zip_longest(external, PAPER_TABLE_7[: len(external)]):
        other = OWN_DATA.format("132 and 59 patients")
        sections += status_sections(f"Table VII, {name}", of_one, paper or {}, other)
    return html.page(
        "LNMet cross-validation",
        [*sections, *_nodes(metrics), *_left_out(metrics["left_out"])],
        subtitle=f"{len(rows)} held-out examinations of {len({r['patient'] for r in rows})} "
        f"patients in {len(metrics['left_out'])} folds. For research only.",
    )


def _nodes(metrics: Mapping[str, Any]) -> list[html.Section]:
    sections = []
    if metrics["identification"] is not None:
        sections.append(html.table("Table IV", table_4(metrics["identification"])))
    segmentation = metrics["segmentation"]
    if segmentation is not None:
        sections.append(html.table("Table V", table_5(segmentation)))
        if segmentation["comparisons"]:
            table = comparisons_table(segmentation["comparisons"])
            sections.append(html.table("Paired tests of Table V", table))
        first = next(iter(segmentation["groups"].values()))
        if "pancreas_dsc" in first:
            sections.append(html.table("Table III", table_3({"summary": first})))
    return sections


def _left_out(by_fold: Mapping[str, Mapping[str, str]]) -> list[html.Section]:
    rows = [
        {"fold": fold, "step": step, "reason": reason}
        for fold, steps in by_fold.items()
        for step, reason in steps.items()
    ]
    if not rows:
        return []
    columns = {"fold": "fold", "step": "step", "reason": "reason"}
    return [html.table("Left out", table_of(columns, rows))]
