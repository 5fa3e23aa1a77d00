"""Charts of decisions about cases, as PNG bytes: the confusion matrix, and shares by group."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import PercentFormatter

from core.metrics.intervals import wilson_interval
from core.metrics.overlap import Counts
from core.report.style import BLUE, INK, MUTED, ORANGE, chart, to_png
from core.report.table import percent


def confusion_matrix(counts: Counts, *, positive: str, negative: str) -> bytes:
    """Truth in rows, answers in columns; each cell has its cases and its share of the row.

    Args:
      counts: over cases.
      positive: name of the class that is looked for.
      negative: name of the other one.

    Returns:
      PNG.

    Source: Si et al. 2021, Fig. 6A.
    """
    cells = np.array(
        [
            [counts.true_negative, counts.false_positive],
            [counts.false_negative, counts.true_positive],
        ]
    )
    shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    figure, axes = chart(4.6, 4.2)
    shades = LinearSegmentedColormap.from_list("shades", ["white", BLUE])
    axes.imshow(shares, cmap=shades, vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        label = f"{cells[row, column]}\n{percent(float(share))}"
        color = "white" if share > 0.5 else INK
        axes.text(column, row, label, color=color, ha="center", va="center", fontsize=13)
    names = (negative, positive)
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names, rotation=90, va="center")
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True")
    axes.grid(visible=False)
    return to_png(figure)


def shares_by_group(
    groups: Mapping[str, tuple[int, int]], *, label: str, average: float, average_name: str
) -> bytes:
    """Share of the cases of each group as a bar with its Wilson interval, and a line across.

    Args:
      groups: (cases that count, cases) by name; a group without cases is left out.
      label: of the vertical axis, "Accuracy".
      average: height of the line; nan draws none.
      average_name: what it is.

    Returns:
      PNG.

    Source: Si et al. 2021, Fig. 6C.
    """
    filled = {name: counts for name, counts in groups.items() if counts[1]}
    figure, axes = chart(float(np.clip(2.2 + 0.8 * len(filled), 4.6, 11)), 3.8)
    places = np.arange(len(filled))
    shares = np.array([right / num for right, num in filled.values()])
    bounds = np.array([wilson_interval(*counts) for counts in filled.values()]).reshape(-1, 2)
    axes.bar(places, shares, width=0.6, color=BLUE, zorder=2)
    axes.errorbar(
        places,
        shares,
        yerr=np.abs(bounds.T - shares),
        fmt="none",
        ecolor=INK,
        elinewidth=1.2,
        capsize=4,
        zorder=3,
    )
    if np.isfinite(average):
        name = f"{average_name} {percent(average)}"
        axes.axhline(average, color=ORANGE, linewidth=1.6, linestyle=(0, (4, 3)), label=name)
        axes.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1))
    axes.set_xticks(places, [f"{name}\nn = {num}" for name, (_, num) in filled.items()])
    axes.tick_params(axis="x", labelcolor=INK, color=MUTED)
    axes.set(ylim=(0, 1.02), xlim=(-0.6, max(len(filled), 1) - 0.4))
    axes.set_ylabel(label)
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.grid(visible=False, axis="x")
    return to_png(figure)
