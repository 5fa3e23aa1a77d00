"""Figures of an evaluation beyond its tables: sweep over K, overlaps, false alarms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from core.commands.evaluate import Prediction
from core.metrics.rows import Row, column
from core.report import html
from core.report.comparisons import Boxes, box_plots
from core.report.style import BLUE, INK, ORANGE, chart, to_png
from s4c.classifier.config import CLASSIFICATION
from s4c.report import pictures

MOST_ALARMS = 12
"""Pictures of the gallery."""
MOST_POINTS = 400
"""Of the sweep: what differs between more is no wider than a line."""


def sweep(rows: Sequence[Row], rule: Mapping[str, int]) -> list[html.Section]:
    """Sensitivity and specificity over K, the least number of tumor voxels (Sec. 3.3).

    Args:
      rows: the cases that count, of one system.
      rule: "min_tumor_voxels", the K that was used, and "min_duct_voxels", which stays; 0 for none.

    Returns:
      The figure; nothing where one of the two classes has no case.
    """
    abnormal = np.array([row["abnormal"] for row in rows], bool)
    if abnormal.all() or not abnormal.any():
        return []
    k, sensitivity, specificity = rates(rows, abnormal, rule["min_duct_voxels"])
    figure, axes = chart(6.4, 3.8)
    axes.step(k, sensitivity, where="post", color=BLUE, linewidth=2, label="sensitivity")
    axes.step(k, specificity, where="post", color=ORANGE, linewidth=2, label="specificity")
    used = rule["min_tumor_voxels"]
    axes.axvline(used, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label=f"K = {used}")
    axes.set(xscale="log", ylim=(-0.02, 1.02))
    axes.set_xlabel("K, least number of tumor voxels")
    axes.legend(frameon=False, fontsize=9)
    alt = "Sensitivity and specificity over the least number of tumor voxels that makes a case"
    return [html.figure("Sweep over K", to_png(figure), alt=alt)]


def rates(
    rows: Sequence[Row], abnormal: np.ndarray, min_duct_voxels: int
) -> tuple[Int[np.ndarray, " k"], Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """K, and sensitivity and specificity of calling cases with at least K tumor voxels.

    Cases that the duct calls are called at every K.
    """
    tumor, duct = column(rows, "num_tumor_voxels"), column(rows, "num_duct_voxels")
    by_duct = (duct >= min_duct_voxels) & bool(min_duct_voxels)
    most = max(2, int(np.nanmax(tumor)) + 1)
    k = np.unique(np.rint(np.geomspace(1, most, MOST_POINTS)).astype(np.int64))
    called = (tumor >= k[:, None]) | by_duct
    return k, called[:, abnormal].mean(1), 1 - called[:, ~abnormal].mean(1)


def overlaps(metrics: Mapping[str, Any], rows: Sequence[Row]) -> list[html.Section]:
    """Distribution of the Dice coefficients of each system; nothing where there are none.

    A classifier segments as the network that it learned from: of the two the first is shown.

    Args:
      metrics: of `s4c.evaluate`.
      rows: the cases that count, of every system.
    """
    plots = []
    for name, title in (("tumor_dsc", "Tumor DSC"), ("pancreas_dsc", "Pancreas DSC")):
        groups: dict[str, np.ndarray] = {}
        for group in metrics["groups"]:
            dsc = column([row for row in rows if row["group"] == group], name)
            alike = any(np.array_equal(dsc, other, equal_nan=True) for other in groups.values())
            if np.isfinite(dsc).any() and not (alike and group.endswith(CLASSIFICATION)):
                # One word a line: names of many systems stand side by side.
                groups["\n".join(group.split())] = dsc
        plots += [Boxes(title, groups)] if groups else []
    alt = "Dice coefficients of every system: medians, quartiles and outliers"
    return [html.figure("Overlap by system", box_plots(plots), alt=alt)] if plots else []


def false_alarms(cases: Sequence[Row], predictions: Sequence[Prediction]) -> list[html.Section]:
    """Gallery of normal scans that were called abnormal (Fig. 4), the surest first.

    Args:
      cases: rows with "index" among all.
      predictions: behind all rows.
    """
    alarms = [case for case in cases if case.get("called") and not case["abnormal"]]
    alarms.sort(key=lambda case: -case["score"])
    shown = []
    for case in alarms[:MOST_ALARMS]:
        prediction = predictions[case["index"]]
        parts = pictures(prediction.row, prediction.folder)
        shown.append(html.group(f"{case['title']}, called", parts))
    return [html.group("False alarms", shown)] if shown else []
