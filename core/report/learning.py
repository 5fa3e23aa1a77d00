"""Learning curves as PNG bytes: of one training, or of the folds of a cross-validation."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from core.report.style import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, panels, to_png

Records = Sequence[Mapping[str, Any]]
"""Lines of a run's metrics.jsonl, each with "step"; other values may be absent."""


def learning_curves(records: Records, names: Sequence[str]) -> bytes:
    """One panel per logged value over the training steps: its running mean, and its validation.

    Values that only an evaluation has, such as the DSC of held-out cases, get panels of their own.

    Args:
      records: of one training; those of an evaluation have its means under "evaluation".
      names: values to draw.

    Returns:
      PNG.
    """
    validation = [{"step": r["step"], **r["evaluation"]} for r in records if "evaluation" in r]
    evaluated = dict.fromkeys(name for record in validation for name in record)
    panel_names = [*names, *(name for name in evaluated if name not in ("step", *names))]
    figure, all_axes = panels(len(panel_names))
    for axes, name in zip(all_axes, panel_names, strict=True):
        steps, values = _series(records, name)
        width = _width(values)
        axes.plot(steps, values, color=BLUE, linewidth=1, alpha=0.3 if width > 1 else 1)
        if width > 1:
            label = f"mean of {width} records"
            axes.plot(*_smooth(steps, values), color=BLUE, linewidth=2, label=label)
        steps, values = _series(validation, name)
        if len(steps):
            axes.plot(steps, values, color=ORANGE, linewidth=2, marker="o", label="validation")
        if width > 1 or len(steps):
            axes.legend(frameon=False, fontsize=9)
        _finish(axes, name)
    return to_png(figure)


def fold_curves(folds: Mapping[str, Records], names: Sequence[str]) -> bytes:
    """One panel per logged value, one line per training: its running mean over the steps.

    Args:
      folds: records by name, such as "fold 1".
      names: values to draw.

    Returns:
      PNG.

    Source: Cancers 2022 (EUSDAF), Fig. 4.
    """
    figure, all_axes = panels(len(names))
    for axes, name in zip(all_axes, names, strict=True):
        colors = cycle((BLUE, ORANGE, GREEN, PURPLE, INK, MUTED))
        for (fold, records), color in zip(folds.items(), colors, strict=False):
            steps, values = _smooth(*_series(records, name))
            axes.plot(steps, values, color=color, linewidth=1.6, label=fold)
        if folds:
            axes.legend(frameon=False, fontsize=9)
        _finish(axes, name)
    return to_png(figure)


def _series(records: Records, name: str) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(r["step"], r[name]) for r in records if r.get(name) is not None]
    steps, values = np.array(pairs, np.float64).reshape(-1, 2).T
    return steps, values


def _width(values: np.ndarray) -> int:
    return len(values) // 20 | 1  # odd, so that the mean sits on its middle step


def _smooth(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    width = _width(values)
    if width == 1:
        return steps, values
    mean = np.convolve(values, np.full(width, 1 / width), "valid")
    return steps[width // 2 : -(width // 2)], mean


def _finish(axes: Axes, name: str) -> None:
    axes.set_xlabel("Step")
    axes.set_title(name.replace("_", " "), loc="left", fontsize=11, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.margins(x=0.01)
