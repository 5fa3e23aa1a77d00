"""Several places of a CT scan close up, side by side in one PNG."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from core.report.outline import SHADOW, Outline, legend
from core.report.overlay import axial, draw_view, require_canonical
from core.report.style import DPI, to_png
from core.volume import Volume

SIDE_MM = 60.0
CELL_INCH, FOOT_INCH = 2.4, 0.35
NUM_COLUMNS = 5


class Place(NamedTuple):
    """What a close-up shows: the axial slice through a voxel (d, h, w), and words under it."""

    voxel: tuple[int, int, int]
    caption: str


def closeups(image: Volume, outlines: Sequence[Outline], places: Sequence[Place]) -> bytes:
    """Draw an axial close-up of 60 mm around every place, as `core.report.overlay` draws slices.

    Args:
      image: canonical CT in Hounsfield units (`core.volume.canonical`).
      outlines: objects, drawn in this order; the legend names the tinted ones.
      places: at least one, in the order of the pictures.

    Returns:
      PNG.

    Raises:
      ValueError: no place, the image is not canonical, or a mask does not lie on its grid.
    """
    if not places:
        raise ValueError("closeups needs a place to show")
    require_canonical(image, [outline.mask for outline in outlines])
    num_columns = min(NUM_COLUMNS, len(places))
    num_rows = -(-len(places) // num_columns)
    height = CELL_INCH * num_rows + FOOT_INCH
    figure = Figure((CELL_INCH * num_columns, height), dpi=DPI, facecolor="black")
    for number, place in enumerate(places):
        row, column = divmod(number, num_columns)
        bottom = 1 - (row + 1) * CELL_INCH / height
        box = (column / num_columns, bottom, 0.99 / num_columns, 0.99 * CELL_INCH / height)
        axes = figure.add_axes(box, facecolor="black")
        draw_view(axes, image, outlines, axial(place.voxel[0]))
        y, x = ((n + 0.5) * mm for n, mm in zip(place.voxel[1:], image.spacing_mm[1:], strict=True))
        reach = SIDE_MM / 2
        axes.set(xlim=(x - reach, x + reach), ylim=(y + reach, y - reach))
        style = {"color": "white", "fontsize": 7.5, "path_effects": SHADOW}
        axes.text(0.5, 0.09, place.caption, transform=axes.transAxes, ha="center", **style)
    legend(figure, [outline for outline in outlines if outline.tinted])
    return to_png(figure)
