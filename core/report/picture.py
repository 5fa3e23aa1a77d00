"""An image with outlines, as the papers on endosonography show it, in one PNG."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from core import check
from core.report.outline import SHADOW, Outline, draw_outline, legend
from core.report.style import DPI, to_png

TRUE_COLOR, PRED_COLOR = "#ff4d4d", "#4d9dff"
"""Red for the truth, blue for the prediction, both light enough for a dark image."""
LONG_SIDE_INCH, STRIP_INCH = 5.0, 0.32
BARS_MM = (1, 2, 5, 10, 20, 50)


def picture(
    image: NDArray,
    outlines: Sequence[Outline],
    *,
    title: str = "",
    pixel_mm: tuple[float, float] | None = None,
) -> bytes:
    """Draw an image, 720 pixels long whatever its own size, with outlines and a legend.

    Args:
      image: gray (h, w) of any number type, shown from black for 0 (uint8) or its least value to
        white for 255 or its largest; or color (h, w, 3), uint8 or floats in [0, 1].
      outlines: objects with masks (h, w), drawn in this order.
      title: one line above the image.
      pixel_mm: height and width of a pixel; brings unequal ones into proportion and adds a scale
        bar. None takes them for equal.

    Returns:
      PNG.

    Raises:
      ValueError: no image of one or three channels, a mask that does not lie on its grid, or a
        pixel size that is not positive.

    Source: Cancers 2022 (EUSDAF), Fig. 8 and 9.
    """
    check.rank("image", image, (2, 3))
    if image.ndim == 3 and image.shape[-1] != 3:
        raise ValueError(f"a color image must be (h, w, 3); got shape {image.shape}")
    for outline in outlines:
        check.same_shape(image=image[..., 0] if image.ndim == 3 else image, mask=outline.mask)
    pixel = pixel_mm or (1.0, 1.0)
    for size in pixel:
        check.positive("pixel_mm", size)
    height, width = (n * size for n, size in zip(image.shape[:2], pixel, strict=True))
    figure, axes = _frame(height, width, has_title=bool(title), has_legend=bool(outlines))
    low, high = (0, 255) if image.dtype == np.uint8 else (image.min(), image.max())
    # Without its own interpolation, matplotlib smooths neither up nor down.
    axes.imshow(
        image,
        cmap="gray",
        vmin=low,
        vmax=high,
        extent=(0, width, height, 0),
        interpolation="bilinear",
    )
    for outline in outlines:
        draw_outline(axes, outline, outline.mask, pixel)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    if pixel_mm:
        _scale_bar(axes, height, width)
    if title:
        middle = 1 - STRIP_INCH / 2 / figure.get_figheight()
        figure.text(0.5, middle, title, color="white", fontsize=10, ha="center", va="center")
    legend(figure, outlines)
    return to_png(figure)


def _frame(
    height: float, width: float, *, has_title: bool, has_legend: bool
) -> tuple[Figure, Axes]:
    """A dark figure with room for the image, a title above and a legend below."""
    inches = LONG_SIDE_INCH / max(height, width)
    # Two names fit side by side into 3 inches, however narrow the image is.
    across, high = max(width * inches, 3.0), height * inches
    above, below = STRIP_INCH * has_title, STRIP_INCH * has_legend
    total = high + above + below
    figure = Figure((across, total), dpi=DPI, facecolor="black")
    left = (1 - width * inches / across) / 2
    axes = figure.add_axes((left, below / total, 1 - 2 * left, high / total), facecolor="black")
    return figure, axes


def _scale_bar(axes: Axes, height_mm: float, width_mm: float) -> None:
    """The longest round length within a third of the width; none where that is under 1 mm."""
    fitting = [bar for bar in BARS_MM if bar <= width_mm / 3]
    if not fitting:
        return
    left, foot = 0.04 * width_mm, 0.96 * height_mm
    axes.plot([left, left + fitting[-1]], [foot, foot], color="white", lw=2, path_effects=SHADOW)
    style = {"color": "white", "fontsize": 8, "va": "bottom", "path_effects": SHADOW}
    axes.text(left, foot - 0.015 * height_mm, f"{fitting[-1]} mm", **style)
