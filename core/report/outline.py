"""Outlines of objects, drawn on an image in the same way everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

FEW = 8
"""Objects whose names fit under a picture in large letters."""
SHADOW = [withStroke(linewidth=2, foreground="black")]


@dataclass(frozen=True)
class Outline:
    """One object to draw.

    Args:
      name: in the legend, "tumor, predicted".
      mask: on the grid of the image, (D, H, W) or (H, W).
      color: any color matplotlib knows.
      tinted: solid with a light fill, for predictions; else a dashed line, for annotations.
    """

    name: str
    mask: NDArray[np.bool_]
    color: str
    tinted: bool


def draw_outline(
    axes: Axes, outline: Outline, plane: NDArray[np.bool_], pixel: tuple[float, float]
) -> None:
    """Draw one plane of an object.

    Args:
      axes: whose origin is the outer corner of pixel (0, 0).
      outline: how the object looks.
      plane: (h, w) of its mask; nothing is drawn where it is empty.
      pixel: height and width of a pixel in the units of the axes.
    """
    # A rim of background closes outlines that touch the border of the image.
    mask = np.pad(plane, 1).astype(float)
    if not mask.any():
        return
    y, x = ((np.arange(n) - 0.5) * size for n, size in zip(mask.shape, pixel, strict=True))
    if outline.tinted:
        axes.contourf(x, y, mask, [0.5, 1.5], colors=[outline.color], alpha=0.25)
    style = {"colors": [outline.color], "linewidths": 1.3, "linestyles": _dash(outline)}
    axes.contour(x, y, mask, [0.5], **style)


def legend(figure: Figure, outlines: Sequence[Outline]) -> None:
    """Name the objects in one row at the foot of a dark figure."""
    handles = [
        Line2D([], [], color=o.color, linewidth=2, linestyle=_dash(o), label=o.name)
        for o in outlines
    ]
    if handles:
        figure.legend(
            handles=handles,
            loc="lower center",
            ncols=len(handles),
            frameon=False,
            fontsize=9 if len(handles) <= FEW else 8,
            columnspacing=2.0 if len(handles) <= FEW else 1.0,
            handlelength=2.0 if len(handles) <= FEW else 1.3,
            labelcolor="white",
            borderaxespad=0.1,
        )


def _dash(outline: Outline) -> Literal["solid", "dashed"]:
    return "solid" if outline.tinted else "dashed"
