"""The page of `lnmet stage`: the status of every patient, and what it was told from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core import json_io
from core.metrics.rows import Row
from core.report import html
from core.report.cases import results_page
from core.report.closeups import Place, closeups
from core.report.table import UNDEFINED, percent, table_of
from lnmet.examination import Examined
from lnmet.nodes import FoundNode, by_suspicion
from lnmet.report import BADGES, outlines_of
from lnmet.status.methods import NEGATIVE, POSITIVE, UNTOLD

NODE_PICTURES = "nodes.png"
MAX_NODES = 10
"""Shown close up, the most probably metastatic first."""
DECISIONS = {
    POSITIVE: "metastasis-positive",
    NEGATIVE: "metastasis-negative",
    UNTOLD: "status not told",
}
COLUMNS = {
    "status": lambda row: BADGES[row["decision"]],
    "probability": "score",
    "nodes": "num_nodes",
    "metastatic": "num_positive_nodes",
    "largest metastatic mm³": "largest_positive_node_mm3",
    "tumor ml": "pdac_ml",
}
"""Of the examinations."""
NODE_COLUMNS = {
    "node": "id",
    "metastatic with": lambda node: _share(node["probability"]),
    "mm³": "volume_mm3",
    "short axis mm": "short_axis_mm",
    "nearest organ": lambda node: node["organ"] or UNDEFINED,
    "mm from it": "organ_distance_mm",
    "sure to be a node": lambda node: _share(node["score"]),
}
"""Of the nodes of an examination."""


def node_pictures(examined: Examined) -> bytes | None:
    """PNG of the nodes that are most probably metastatic, close up; None without any node."""
    nodes = by_suspicion(examined.segmented.nodes)[:MAX_NODES]
    if not nodes:
        return None
    grid = examined.grid
    centers = np.array([[*node.center_mm, 1.0] for node in nodes])
    voxels = np.rint(centers @ np.linalg.inv(grid.affine_lps).T)[:, :3].astype(int)
    voxels = np.clip(voxels, 0, np.subtract(grid.shape, 1)).tolist()
    places = [Place(tuple(v), _caption(node)) for v, node in zip(voxels, nodes, strict=True)]
    return closeups(grid, outlines_of(examined.segmented.label), places)


def stage_page(results: Mapping[str, Any], out: Path) -> str:
    """The whole page.

    Args:
      results: content of results.json.
      out: folder that holds cases/<id>/ with pictures and prediction.json.
    """
    without: Sequence[str] = results["without_network"]
    note = f"No trained network was given for: {', '.join(without)}." if without else ""
    return results_page(
        results,
        system="LNMet",
        job="staging",
        case="examination",
        labels={**DECISIONS, "failed": "failed"},
        columns=COLUMNS,
        section=lambda case: _section(case, out / "cases" / case["id"]),
        subtitle=_subtitle(results["status_networks"]),
        note=note,
    )


def _subtitle(networks: Sequence[str]) -> str:
    if not networks:
        return "No network was given that tells the status."
    others = f"; beside it {', '.join(networks[1:])}" if networks[1:] else ""
    return f"The status is told by {networks[0]}{others}."


def _section(case: Row, folder: Path) -> html.Section:
    """One examination, folded: the scan, every node, and what every network says."""
    details = json_io.read_json(folder / "prediction.json")
    png = (folder / "overlay.png").read_bytes()
    caption = "Organs dashed, tumor and nodes tinted; the tint is where attention is above zero."
    alt = f"CT of {case['id']} with organs, tumor and lymph nodes outlined"
    parts = [html.figure("", png, alt=alt, caption=caption)]
    if details["nodes"]:
        close = (folder / NODE_PICTURES).read_bytes()
        shown = f"The {min(MAX_NODES, len(details['nodes']))} most probably metastatic nodes."
        alt = f"Close-ups of the lymph nodes of {case['id']}"
        parts.append(html.figure("", close, alt=alt, caption=shown))
        nodes = by_suspicion(FoundNode(**node) for node in details["nodes"])
        table = table_of(NODE_COLUMNS, [node._asdict() for node in nodes])
        parts.append(html.table("Lymph nodes", table))
    if case["scores"]:
        scores = [{"by": name, "score": score} for name, score in case["scores"].items()]
        of_nodes = "Networks give probabilities, nodes alone the volume in mm³."
        table = table_of({"by": "by", "score": "score"}, scores)
        parts.append(html.table("Status", table, note=of_nodes))
    return html.details(case["id"], parts, badge=BADGES[case["decision"]], note=case["note"])


def _caption(node: FoundNode) -> str:
    words = [f"#{node.id}", f"{node.volume_mm3:.0f} mm³", f"short axis {node.short_axis_mm:.0f} mm"]
    place = f"{node.organ}, {node.organ_distance_mm:.0f} mm" if node.organ else ""
    metastatic = "" if node.probability is None else f"metastatic {percent(node.probability)}"
    return "\n".join(filter(None, ["  ".join(words), place, metastatic]))


def _share(probability: float | None) -> str:
    return UNDEFINED if probability is None else percent(probability)
