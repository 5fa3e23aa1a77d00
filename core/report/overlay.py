"""A CT scan with outlines, as a radiologist looks at it: four views in one PNG.

Axial from below (the patient's right on the left), coronal from the front and sagittal from the
left side with the head up; every view has millimeters of equal length on both axes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from core import check
from core.report.outline import SHADOW, Outline, draw_outline, legend
from core.report.style import DPI, to_png
from core.volume import Volume, orientation

FRAME = "#ffd24a"
ZOOM_MARGIN_MM, ZOOM_MIN_MM = 25.0, 80.0
WINDOW_HU = (-100.0, 240.0)
"""What is shown black, and what white."""
HEAT_ALPHA = 0.22
"""How much of the image a tint of 1 covers."""


class View(NamedTuple):
    """A plane through a volume: which axis it cuts, where, and what is written around it."""

    name: str
    axis: int
    index: int
    marks: tuple[str, str, str, str]  # left, right, top, bottom
    head_up: bool  # rows run to the head, so row 0 belongs at the bottom


def decisive_slice(mask: NDArray[np.bool_]) -> int:
    """Index of the axial slice with the most voxels of a mask; the middle one if it is empty."""
    areas = np.count_nonzero(mask, axis=(1, 2))
    return int(np.argmax(areas)) if areas.any() else mask.shape[0] // 2


def center(mask: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Voxel (d, h, w) nearest to the centroid of a mask; the middle of the grid if it is empty."""
    if not mask.any():
        return tuple(n // 2 for n in mask.shape)  # type: ignore[return-value]
    profiles = (np.count_nonzero(mask, axis=others) for others in ((1, 2), (0, 2), (0, 1)))
    return tuple(round(np.average(np.arange(p.size), weights=p)) for p in profiles)  # type: ignore[return-value]


def overlay(
    image: Volume,
    outlines: Sequence[Outline],
    focus: NDArray[np.bool_],
    *,
    heat: NDArray[np.floating] | None = None,
) -> bytes:
    """Draw the decisive axial slice, its close-up, and the coronal and sagittal planes.

    Args:
      image: canonical CT in Hounsfield units (`core.volume.canonical`).
      outlines: objects, drawn in this order.
      focus: what the views go through: the slice with most of its voxels and its centroid.
      heat: map in [0, 1] on the grid of the image, drawn as a tint; None, there is none.

    Returns:
      PNG.

    Raises:
      ValueError: the image is not canonical, or a mask does not lie on its grid.

    Source: Zhu et al. 2019, Fig. 3 (frame and close-up).
    """
    require_canonical(image, [focus, *(outline.mask for outline in outlines)])
    if heat is not None:
        check.same_shape(image=image.array, heat=heat)
    _, h, w = center(focus)
    decisive = axial(decisive_slice(focus))
    coronal = View("coronal", 1, h, ("R", "L", "S", "I"), True)
    sagittal = View("sagittal", 2, w, ("A", "P", "S", "I"), True)
    figure = Figure((12.0, 3.3), dpi=DPI, facecolor="black")
    panels = _panels(figure)
    for view in (decisive, decisive, coronal, sagittal):
        draw_view(next(panels), image, outlines, view, heat)
    _zoom(figure.axes[0], figure.axes[1], image, focus[decisive.index])
    legend(figure, outlines)
    return to_png(figure)


def require_canonical(image: Volume, masks: Sequence[NDArray[np.bool_]]) -> None:
    """Refuse an image that is not canonical, or masks of another shape.

    Raises:
      ValueError: either of them.
    """
    if orientation(image) != "SPL":
        raise ValueError(
            f"image must run to S, P, L; it runs to {', '.join(orientation(image))}: "
            "give core.volume.canonical(image)"
        )
    for mask in masks:
        check.same_shape(image=image.array, mask=mask)


def axial(index: int) -> View:
    """An axial slice, seen from below."""
    return View("axial", 0, index, ("R", "L", "A", "P"), False)


def _panels(figure: Figure) -> Iterator[Axes]:
    """Four equal square cells side by side above the legend."""
    for column in range(4):
        yield figure.add_axes((column / 4 + 0.002, 0.09, 0.246, 0.9), facecolor="black")


def draw_view(
    axes: Axes,
    image: Volume,
    outlines: Sequence[Outline],
    view: View,
    heat: NDArray[np.floating] | None = None,
) -> None:
    """Draw a plane of a scan, what is outlined in it, and where it lies; in mm from its corner."""
    plane = np.take(image.array, view.index, axis=view.axis)
    row_mm, column_mm = (s for axis, s in enumerate(image.spacing_mm) if axis != view.axis)
    height, width = plane.shape[0] * row_mm, plane.shape[1] * column_mm
    placed: Any = {
        "extent": (0, width, 0, height) if view.head_up else (0, width, height, 0),
        "origin": "lower" if view.head_up else "upper",
        "interpolation": "bilinear",
    }
    axes.imshow(plane, cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], **placed)
    if heat is not None:
        tint = np.take(heat, view.index, axis=view.axis)
        alpha = HEAT_ALPHA * np.clip(tint, 0, 1)
        axes.imshow(np.ones_like(tint), cmap="autumn", vmin=0, vmax=2, alpha=alpha, **placed)
    for outline in outlines:
        mask = np.take(outline.mask, view.index, axis=view.axis)
        draw_outline(axes, outline, mask, (row_mm, column_mm))
    # Square cells: the shorter side is filled up with black.
    side = max(width, height)
    x_low, y_low = (width - side) / 2, (height - side) / 2
    y_limits = (y_low, y_low + side)
    axes.set(xlim=(x_low, x_low + side), ylim=y_limits if view.head_up else y_limits[::-1])
    _annotate(axes, view, plane_number=view.index + 1, num_planes=image.shape[view.axis])


def _annotate(axes: Axes, view: View, *, plane_number: int, num_planes: int) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    style = {"color": "white", "transform": axes.transAxes, "fontsize": 9, "path_effects": SHADOW}
    places = (
        (0.02, 0.5, "left"),
        (0.98, 0.5, "right"),
        (0.5, 0.98, "center"),
        (0.5, 0.03, "center"),
    )
    for mark, (x, y, side) in zip(view.marks, places, strict=True):
        vertical = {0.98: "top", 0.03: "bottom"}.get(y, "center")
        axes.text(x, y, mark, ha=side, va=vertical, fontweight="bold", **style)
    title = f"{view.name} {plane_number}/{num_planes}"
    axes.text(0.02, 0.98, title, ha="left", va="top", **style)


def _zoom(whole: Axes, close: Axes, image: Volume, focus: NDArray[np.bool_]) -> None:
    """Narrow `close` to the object and frame that part in `whole`; add a scale bar."""
    _, row_mm, column_mm = image.spacing_mm
    rows, columns = np.nonzero(focus)
    if rows.size == 0:
        rows, columns = (np.array([n // 2]) for n in focus.shape)
    low = np.array([columns.min() * column_mm, rows.min() * row_mm])
    high = np.array([(columns.max() + 1) * column_mm, (rows.max() + 1) * row_mm])
    side = max(ZOOM_MIN_MM, float((high - low).max()) + 2 * ZOOM_MARGIN_MM)
    x, y = (low + high - side) / 2
    close.set(xlim=(x, x + side), ylim=(y + side, y))
    whole.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor=FRAME, linewidth=1.2))
    close.spines[:].set(visible=True, color=FRAME, linewidth=1.5)
    close.plot([x + 0.05 * side, x + 0.05 * side + 20], [y + 0.95 * side] * 2, color="white", lw=2)
    close.text(x + 0.05 * side, y + 0.93 * side, "20 mm", color="white", fontsize=8, va="bottom")
