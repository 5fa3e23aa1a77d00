"""Style of all charts: colors, axes and PNG output.

Figures are built without pyplot, so nothing is global and threads may draw at the same time.
"""

import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

# Okabe–Ito hues: told apart with every common color vision.
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
INK, MUTED, GRID = "#1f2937", "#6b7280", "#e5e7eb"
DPI = 144


def chart(width_inch: float, height_inch: float) -> tuple[Figure, Axes]:
    """A figure of one set of axes."""
    figure = _figure(width_inch, height_inch)
    return figure, _style(figure.add_subplot())


def panels(num: int) -> tuple[Figure, list[Axes]]:
    """A figure of several axes side by side."""
    figure = _figure(4.4 * num, 3.4)
    return figure, [_style(figure.add_subplot(1, num, i + 1)) for i in range(num)]


def roc_axes() -> tuple[Figure, Axes]:
    """Square axes of a ROC curve, in percent, with the diagonal of chance."""
    figure, axes = chart(5.4, 5.0)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel("False-alarm rate (1 − specificity)")
    axes.set_ylabel("Sensitivity")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    return figure, axes


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
