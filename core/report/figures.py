"""Charts as PNG bytes: the ROC curve, learning curves, and overlap against tumor size.

Figures are built without pyplot, so nothing is global and threads may draw at the same time.
"""

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from core.metrics.classification import OperatingPoint
from core.metrics.compare import Interval
from core.metrics.rows import Row, column
from core.report.table import percent

# Okabe–Ito hues: told apart with every common color vision.
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
INK, MUTED, GRID = "#1f2937", "#6b7280", "#e5e7eb"
DPI = 144


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
    figure, axes = _chart(5.4, 5.0)
    name = f"AUC {area:.3f}"
    if np.isfinite(interval.low):
        name += f" (95 % CI {interval.low:.3f}–{interval.high:.3f})"
    alarms = [1 - point.specificity for point in points]
    found = [point.sensitivity for point in points]
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    axes.plot(alarms, found, color=BLUE, linewidth=2.2, label=name, clip_on=False, zorder=3)
    axes.fill_between(alarms, found, color=BLUE, alpha=0.07, linewidth=0)
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
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel("False-alarm rate (1 − specificity)")
    axes.set_ylabel("Sensitivity")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.legend(loc="lower right", framealpha=0.92, edgecolor=GRID, fontsize=8.5)
    return to_png(figure)


def learning_curves(records: Sequence[Mapping[str, Any]], names: Sequence[str]) -> bytes:
    """One panel per logged value over the training steps, with its running mean.

    Args:
      records: lines of a run's metrics.jsonl, each with "step"; other values may be absent.
      names: values to draw.

    Returns:
      PNG.
    """
    figure = _figure(4.4 * len(names), 3.4)
    for index, name in enumerate(names):
        axes = _style(figure.add_subplot(1, len(names), index + 1))
        pairs = [(r["step"], r[name]) for r in records if r.get(name) is not None]
        steps, values = np.array(pairs, np.float64).reshape(-1, 2).T
        width = len(values) // 20 | 1  # odd, so that the mean sits on its middle step
        axes.plot(steps, values, color=BLUE, linewidth=1, alpha=0.3 if width > 1 else 1)
        if width > 1:
            mean = np.convolve(values, np.full(width, 1 / width), "valid")
            middle = steps[width // 2 : -(width // 2)]
            axes.plot(middle, mean, color=BLUE, linewidth=2, label=f"mean of {width} records")
            axes.legend(frameon=False, fontsize=9)
        axes.set_xlabel("Step")
        axes.set_title(name.replace("_", " "), loc="left", fontsize=11, color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.margins(x=0.01)
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
    figure, axes = _chart(float(np.clip(1.5 + 0.42 * order.size, 5.4, 11)), 3.6)
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


def to_png(figure: Figure) -> bytes:
    """PNG of a figure, the same bytes for the same drawing (no date, no version inside)."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="png", facecolor=figure.get_facecolor(), metadata={"Software": None}
    )
    return buffer.getvalue()


def _figure(width_inch: float, height_inch: float) -> Figure:
    rim = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    return Figure((width_inch, height_inch), dpi=DPI, facecolor="white", layout=rim)


def _chart(width_inch: float, height_inch: float) -> tuple[Figure, Axes]:
    figure = _figure(width_inch, height_inch)
    return figure, _style(figure.add_subplot())


def _style(axes: Axes) -> Axes:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=9)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=INK, fontsize=10)
    return axes
