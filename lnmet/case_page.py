"""The page of one examination, to scroll through: both phases, tumor and nodes listed."""

import numpy as np

from core.metrics.rows import Row
from core.report import html
from core.report.findings import Finding, find_lesions
from core.report.table import percent
from core.report.viewer import viewer_page
from core.report.viewer_panel import MAX_VOXELS, panel
from core.volume import Volume
from lnmet.examination import Examined
from lnmet.labels import PDAC
from lnmet.nodes import FoundNode, by_suspicion
from lnmet.report import present_classes


def case_page(title: str, examined: Examined, row: Row) -> str:
    """The whole page.

    Args:
      title: of the examination; headers of its scans are not shown.
      examined: its phases, which lie on one grid, and what was segmented.
      row: of results.json.
    """
    phases, label, grid = examined.phases, examined.segmented.label, examined.grid
    moved = "" if phases.quality is None else ", registered"
    titles = {"arterial": f"arterial phase{moved}", "venous": "venous phase"}
    share = MAX_VOXELS // len(phases.volumes)
    return viewer_page(
        title,
        [
            panel(titles[phase], volume, label, max_voxels=share)
            for phase, volume in phases.volumes.items()
        ],
        classes=present_classes(label),
        findings=[
            *find_lesions(grid, label, {PDAC: "tumor"}),
            *(_finding(node, grid) for node in by_suspicion(examined.segmented.nodes)),
        ],
        sections=[html.tiles("LNMet", _tiles(row))],
        note=row["note"],
    )


def _tiles(row: Row) -> list[html.Tile]:
    """What was asked for: the status, nodes, and the tumor."""
    tiles = []
    if "score" in row:
        note = "" if row["score"] is None else f"score {row['score']:.3f}"
        tiles.append(html.Tile("status", row["decision"], note))
    if row["num_nodes"] is not None:
        tiles.append(html.Tile("lymph nodes", str(row["num_nodes"]), f"{row['nodes_ml']:.2f} ml"))
    if row["num_positive_nodes"] is not None:
        tiles.append(html.Tile("called metastatic", str(row["num_positive_nodes"])))
    if row["pdac_ml"] is not None:
        tiles.append(html.Tile("tumor ml", f"{row['pdac_ml']:.2f}"))
    return tiles


def _finding(node: FoundNode, grid: Volume) -> Finding:
    """A node, with its number in nodes.csv."""
    d, *_ = np.linalg.inv(grid.affine_lps) @ [*node.center_mm, 1.0]
    words = []
    if node.probability is not None:
        words.append(f"metastatic with {percent(node.probability)}")
    if node.organ is not None and node.organ_distance_mm is not None:
        words.append(f"{node.organ}, {round(node.organ_distance_mm)} mm")
    words.append(f"a node with {percent(node.score)}")
    return Finding(
        f"lymph node {node.id}",
        node.center_mm,
        round(float(d)) + 1,
        ml=node.volume_mm3 / 1000,
        short_axis_mm=node.short_axis_mm,
        note="; ".join(words),
    )
