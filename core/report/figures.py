"""Charts of one method as PNG bytes: the ROC curve, and overlap against tumor size."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np

from core.metrics.classification import OperatingPoint
from core.metrics.intervals import Interval
from core.metrics.rows import Row, column
from core.report.style import (
    BLUE,
    GREEN,
    GRID,
    INK,
    ORANGE,
    PURPLE,
    chart,
    roc_axes,
    to_png,
)
from core.report.table import ci, percent


def roc(
    points: Sequence[OperatingPoint],
    *,
    area: float,
    interval: Interval,
    marks: Mapping[str, tuple[float, float]],
) -> bytes:
    """ROC curve with its area and named operating points.

    Args:
      points: of `core.metrics.classification.roc_curve`.
      area: under the curve.
      interval: of the area; nan bounds are left out.
      marks: (sensitivity, specificity) by name, such as the decision rule here and in the paper.

    Returns:
      PNG.
    """
    figure, axes = roc_axes()
    name = f"AUC {area:.3f}"
    if np.isfinite(interval.low):
        name += f" ({ci(interval)})"
    false_positive_rates = [1 - point.specificity for point in points]
    sensitivities = [point.sensitivity for point in points]
    axes.plot(
        false_positive_rates,
        sensitivities,
        color=BLUE,
        linewidth=2.2,
        label=name,
        clip_on=False,
        zorder=3,
    )
    axes.fill_between(false_positive_rates, sensitivities, color=BLUE, alpha=0.07, linewidth=0)
    looks = cycle(zip("oDs^", (ORANGE, PURPLE, GREEN, INK), strict=True))
    for (label, (sensitivity, specificity)), (marker, color) in zip(
        marks.items(), looks, strict=False
    ):
        axes.plot(
            1 - specificity,
            sensitivity,
            marker,
            color=color,
            markersize=9,
            markeredgecolor="white",
            clip_on=False,
            zorder=4,
            label=f"{label}: sens. {percent(sensitivity)}, spec. {percent(specificity)}",
        )
    axes.legend(loc="lower right", framealpha=0.92, edgecolor=GRID, fontsize=8.5)
    return to_png(figure)


def overlap_by_size(rows: Sequence[Row], *, overlap: str, size_ml: str, label: str) -> bytes:
    """Overlap of every case as a bar, from the smallest to the largest true object.

    Args:
      rows: one per case, with "id"; cases without either value are left out.
      overlap: column of a coefficient in [0, 1], such as "tumor_dsc".
      size_ml: column of the true volume in milliliters.
      label: of the vertical axis, "tumor DSC".

    Returns:
      PNG.
    """
    values, sizes = column(rows, overlap), column(rows, size_ml)
    defined = np.flatnonzero(np.isfinite(values) & np.isfinite(sizes))
    order = defined[np.argsort(sizes[defined], kind="stable")]
    figure, axes = chart(float(np.clip(1.5 + 0.42 * order.size, 5.4, 11)), 3.6)
    places = np.arange(order.size)
    axes.bar(places, values[order], width=0.72, color=BLUE, zorder=2)
    missed = places[values[order] == 0]
    if missed.size:
        style = {"color": ORANGE, "markersize": 8, "linestyle": "none", "clip_on": False}
        axes.plot(missed, 0 * missed + 0.025, marker="x", mew=2.2, label="missed (0)", **style)
    if order.size:
        mean = float(values[order].mean())
        axes.axhline(
            mean, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label=f"mean {mean:.3f}"
        )
        axes.legend(frameon=False, fontsize=9, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    axes.set(ylim=(0, 1), xlim=(-0.6, max(order.size, 1) - 0.4))
    axes.set_ylabel(label)
    axes.grid(visible=False, axis="x")
    if order.size <= 24:
        labels = [f"{rows[i]['id']}\n{sizes[i]:.3g} ml" for i in order]
        axes.set_xticks(places, labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    else:
        axes.set_xticks([])
        low, high = sizes[order[0]], sizes[order[-1]]
        axes.set_xlabel(f"{order.size} cases by true volume, {low:.3g} to {high:.3g} ml")
    return to_png(figure)
