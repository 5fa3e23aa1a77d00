"""Charts of probabilities of several methods, as PNG bytes: calibration and decision curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.ticker import PercentFormatter

from core.metrics.calibration import CalibrationBin
from core.metrics.intervals import Interval, wilson_interval
from core.report.style import (
    FEW_LINES,
    LINE,
    MUTED,
    chart,
    diagonal,
    line_looks,
    name_lines,
    to_png,
    unit_axes,
)


def calibrations(curves: Mapping[str, Sequence[CalibrationBin]]) -> bytes:
    """Share of positive cases against the probability that they were given.

    On the diagonal probabilities are as often right as they say; below it they say too much. Of up
    to five methods each bin has its Wilson interval.

    Args:
      curves: of `core.metrics.calibration.calibration_curve`, by name of the method.

    Returns:
      PNG.
    """
    figure, axes = unit_axes("Predicted probability", "Share that is positive")
    diagonal(axes)
    for (name, bins), look in zip(curves.items(), line_looks(), strict=False):
        probs = [each.mean_prob for each in bins]
        shares = [each.share_positive for each in bins]
        axes.plot(probs, shares, label=name, marker="o", mec="white", **look, **LINE)
        if len(curves) <= FEW_LINES:
            low, high = np.array([_interval(each) for each in bins]).reshape(-1, 2).T
            axes.vlines(probs, low, high, color=look["color"], linewidth=1)
    name_lines(figure, axes, corner="upper left")
    return to_png(figure)


def _interval(each: CalibrationBin) -> Interval:
    return wilson_interval(round(each.share_positive * each.num), each.num)


def decision_curves(
    curves: Mapping[str, Float[np.ndarray, " t"]],
    *,
    thresholds: Float[np.ndarray, " t"],
    treat_all: Float[np.ndarray, " t"],
) -> bytes:
    """Net benefit of treating as each method says, beside treating everybody and nobody.

    Args:
      curves: of `core.metrics.net_benefit.net_benefit`, by name of the method.
      thresholds: (t,) rising probabilities from which on a patient would be treated.
      treat_all: (t,) net benefit of treating everybody.

    Returns:
      PNG.

    Source: Vickers & Elkin 2006, Med. Decis. Making 26.
    """
    figure, axes = chart(6.4, 4.4)
    axes.plot(thresholds, treat_all, color=MUTED, linewidth=1.4, label="treat all")
    axes.axhline(0, color=MUTED, linewidth=1.4, linestyle=(0, (2, 3)), label="treat nobody")
    for (name, benefits), look in zip(curves.items(), line_looks(), strict=False):
        axes.plot(thresholds, benefits, label=name, linewidth=2, zorder=3, **look)
    # Treating all falls without bound as thresholds near 1; what is below nobody's is of no use.
    highest = max(float(np.nanmax(values)) for values in (treat_all, *curves.values()))
    axes.set(xlim=(thresholds[0], thresholds[-1]), ylim=(-0.15 * highest, 1.05 * highest))
    axes.set_xlabel("Threshold probability")
    axes.set_ylabel("Net benefit")
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    name_lines(figure, axes, corner="upper right")
    return to_png(figure)
