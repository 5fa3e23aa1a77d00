"""The page of one patient, to scroll through: each scan, and its tumors by size and position."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from core.datasets.channels import Phase
from core.datasets.pancreas import DUCT, TUMOR
from core.metrics.rows import Row
from core.report import html
from core.report.findings import Finding, find_lesions
from core.report.viewer import viewer_page
from core.report.viewer_panel import MAX_VOXELS, Panel, panel
from core.volume import Volume
from s4c.report import CLASSES


class ShownScan(NamedTuple):
    """What the page has of one scan."""

    panel: Panel
    findings: list[Finding]


def shown_scan(
    volume: Volume, pred: UInt8[np.ndarray, "d h w"], *, phase: Phase | None, num_scans: int
) -> ShownScan:
    """A scan made ready, so that its voxels need not be kept.

    Args:
      volume: canonical CT in Hounsfield units.
      pred: predicted ids.
      phase: of the scan, where networks look at phases.
      num_scans: of the patient, which share the page.
    """
    names = {id_: CLASSES[id_].name for id_ in (TUMOR, DUCT)}
    if phase is not None:
        names = {id_: f"{phase} phase, {name}" for id_, name in names.items()}
    title = "CT" if phase is None else f"{phase} phase"
    return ShownScan(
        panel(title, volume, pred, max_voxels=MAX_VOXELS // num_scans),
        find_lesions(volume, pred, names),
    )


def case_page(title: str, scans: Sequence[ShownScan], row: Row) -> str:
    """The whole page.

    Args:
      title: of the patient; headers of the scans are not shown.
      scans: one, or one of each phase.
      row: of results.json.
    """
    has_duct = row["num_duct_voxels"] is not None
    numbers = [
        html.Tile("call", row["decision"], _by(row)),
        html.Tile("score", f"{row['score']:.3f}"),
        html.Tile("tumor ml", f"{row['tumor_ml']:.2f}", f"{row['num_tumor_voxels']} voxels"),
        html.Tile("pancreas ml", f"{row['pancreas_ml']:.1f}"),
    ]
    if has_duct:
        note = f"{row['num_duct_voxels']} voxels"
        numbers.append(html.Tile("dilated duct ml", f"{row['duct_ml']:.2f}", note))
    return viewer_page(
        title,
        [scan.panel for scan in scans],
        classes={id_: of for id_, of in CLASSES.items() if id_ != DUCT or has_duct},
        findings=[finding for scan in scans for finding in scan.findings],
        sections=[html.tiles("S4C screening", numbers)],
        note=row["note"],
    )


def _by(row: Row) -> str:
    return f"by the {row['decided_by']} phase" if "decided_by" in row else ""
