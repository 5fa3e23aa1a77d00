"""Style of all charts: colors, axes and PNG output.

Figures are built without pyplot, so nothing is global and threads may draw at the same time.
"""

import io
from collections.abc import Iterator
from itertools import count
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

# Okabe–Ito hues: told apart with every common color vision.
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
INK, MUTED, GRID = "#1f2937", "#6b7280", "#e5e7eb"
DPI = 144
COLORS, DASHES = (BLUE, ORANGE, GREEN, PURPLE, INK), ("-", "--", "-.", ":")
LINE: dict[str, Any] = {"linewidth": 2, "clip_on": False, "zorder": 3}
PANEL_WIDTH = 4.4
"""Inches."""
FEW_LINES = 5
"""As many fit into a legend inside the axes."""


def chart(width_inch: float, height_inch: float) -> tuple[Figure, Axes]:
    """A figure of one set of axes."""
    figure = _figure(width_inch, height_inch)
    return figure, _style(figure.add_subplot())


def panels(num: int, *, width: float = PANEL_WIDTH) -> tuple[Figure, list[Axes]]:
    """A figure of several axes side by side, each so many inches wide."""
    figure = _figure(width * num, 3.4)
    return figure, [_style(figure.add_subplot(1, num, i + 1)) for i in range(num)]


def unit_axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """Square axes from 0 to 100 %."""
    figure, axes = chart(5.4, 5.0)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    return figure, axes


def roc_axes() -> tuple[Figure, Axes]:
    """Square axes of a ROC curve, in percent, with the diagonal of chance."""
    figure, axes = unit_axes("False-alarm rate (1 − specificity)", "Sensitivity")
    diagonal(axes)
    return figure, axes


def diagonal(axes: Axes) -> None:
    """A dotted line from corner to corner, behind what is drawn."""
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))


def line_looks() -> Iterator[dict[str, Any]]:
    """Color and dash of one line after another; 20 of them are told apart.

    Lines that lie on each other stay visible: each is dashed in its own way.
    """
    for number in count():
        lap, place = divmod(number, len(COLORS))
        dash = DASHES[(place + lap) % len(DASHES)]
        yield {"color": COLORS[place], "linestyle": dash}


Corner = Literal["upper left", "upper right", "lower left", "lower right"]


def name_lines(figure: Figure, axes: Axes, *, corner: Corner) -> None:
    """Add a legend: in a corner of the axes, beside them where it would hide the lines."""
    num = len(axes.get_legend_handles_labels()[1])
    if num > FEW_LINES:
        figure.set_size_inches(figure.get_figwidth() + 3.2, figure.get_figheight())
        figure.legend(loc="outside right center", frameon=False, fontsize=9)
    elif num:
        axes.legend(loc=corner, framealpha=0.92, edgecolor=GRID, fontsize=9)


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


def _style(axes: Axes) -> Axes:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=9)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=INK, fontsize=10)
    return axes
