"""Charts that compare methods or groups of cases, as PNG bytes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from core.metrics.classification import OperatingPoint
from core.metrics.precision_recall import PrecisionRecall
from core.report.style import (
    BLUE,
    INK,
    LINE,
    MUTED,
    PANEL_WIDTH,
    line_looks,
    name_lines,
    panels,
    roc_axes,
    to_png,
    unit_axes,
)

RED = "#dc2626"
BOX_WIDTH = 1.0
"""Inches that a box has at least, so that names below do not run into each other."""


class Roc(NamedTuple):
    """A curve and the area under it."""

    points: Sequence[OperatingPoint]
    area: float


class PrecisionRecalls(NamedTuple):
    """A curve and its average precision."""

    points: Sequence[PrecisionRecall]
    average: float


class Boxes(NamedTuple):
    """One panel of box plots."""

    title: str
    groups: Mapping[str, ArrayLike]
    """Values by name of the group, (n_i,) each; nan is left out."""
    note: str = ""
    """Shown under the title, such as a p value."""


def rocs(curves: Mapping[str, Roc]) -> bytes:
    """ROC curves of several methods, the area of each in the legend.

    Args:
      curves: by name of the method; an undefined (nan) area is left out.

    Returns:
      PNG.

    Source: Cancers 2022 (EUSDAF), Fig. 5.
    """
    figure, axes = roc_axes()
    for (name, curve), look in zip(curves.items(), line_looks(), strict=False):
        false_positive_rates = [1 - point.specificity for point in curve.points]
        sensitivities = [point.sensitivity for point in curve.points]
        label = f"{name}, AUC {curve.area:.3f}" if np.isfinite(curve.area) else name
        axes.plot(false_positive_rates, sensitivities, label=label, **look, **LINE)
    name_lines(figure, axes, corner="lower right")
    return to_png(figure)


def precision_recalls(curves: Mapping[str, PrecisionRecalls], *, prevalence: float) -> bytes:
    """Precision against sensitivity of several methods, the average precision of each beside it.

    Drawn in steps: between two thresholds no precision is promised. A dotted line shows the
    prevalence, the precision of who calls everybody positive.

    Args:
      curves: by name of the method; an undefined (nan) average is left out.
      prevalence: share of positive cases.

    Returns:
      PNG.
    """
    figure, axes = unit_axes("Sensitivity (recall)", "Precision")
    chance: dict[str, Any] = {"color": MUTED, "linewidth": 1, "linestyle": (0, (2, 3))}
    axes.axhline(prevalence, label=f"prevalence {prevalence:.3f}", **chance)
    for (name, curve), look in zip(curves.items(), line_looks(), strict=False):
        recalls = [0.0, *(point.recall for point in curve.points)]
        precisions = [point.precision for point in curve.points]
        label = f"{name}, AP {curve.average:.3f}" if np.isfinite(curve.average) else name
        steps: dict[str, Any] = {"drawstyle": "steps-pre", "label": label}
        axes.plot(recalls, [*precisions[:1], *precisions], **steps, **look, **LINE)
    name_lines(figure, axes, corner="lower left")
    return to_png(figure)


def box_plots(plots: Sequence[Boxes]) -> bytes:
    """Panels of box plots of fractions: median in red, quartiles, whiskers, outliers as red stars.

    Whiskers end at the least and the largest value within 1.5 interquartile ranges of the box; the
    number of values stands under each group.

    Args:
      plots: one panel each, of values in [0, 1].

    Returns:
      PNG.

    Source: Cancers 2022 (EUSDAF), Fig. 7.
    """
    most = max((len(plot.groups) for plot in plots), default=0)
    figure, all_axes = panels(len(plots), width=max(PANEL_WIDTH, BOX_WIDTH * most))
    for axes, plot in zip(all_axes, plots, strict=True):
        _draw_boxes(axes, plot)
        axes.set_ylim(-0.03, 1.03)  # with room for half a star
    return to_png(figure)


def _draw_boxes(axes: Axes, plot: Boxes) -> None:
    groups = {name: np.asarray(values, np.float64) for name, values in plot.groups.items()}
    groups = {name: values[~np.isnan(values)] for name, values in groups.items()}
    line = {"color": INK, "linewidth": 1.2}
    if groups:
        axes.boxplot(
            list(groups.values()),
            tick_labels=[f"{name}\nn = {values.size}" for name, values in groups.items()],
            widths=0.55,
            boxprops={"color": BLUE, "linewidth": 1.4},
            whiskerprops={**line, "linestyle": (0, (4, 3))},
            capprops=line,
            medianprops={"color": RED, "linewidth": 2},
            flierprops={"marker": "*", "markersize": 8, "mec": RED, "mfc": RED},
        )
    axes.grid(visible=False, axis="x")
    title = f"{plot.title}\n{plot.note}" if plot.note else plot.title
    axes.set_title(title, loc="left", fontsize=11, color=INK)
