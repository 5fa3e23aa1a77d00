"""How large a lesion is in a picture: long axis, short axis and area of its largest piece."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from core import check
from core.postprocess.components import components

NAN = float("nan")
HALVES = np.array([(0.5, 0.0), (0.0, 0.5)])


class LesionSize(NamedTuple):
    """Axes are nan for an empty mask, millimeters are nan where the size of a pixel is unknown."""

    long_axis_px: float
    short_axis_px: float
    area_px: int
    num_pieces: int
    """Connected components of the mask; the sizes are those of the largest."""
    long_axis_mm: float = NAN
    short_axis_mm: float = NAN
    area_mm2: float = NAN


def measure(
    mask: NDArray[np.bool_], *, spacing_mm: tuple[float, float] | None = None
) -> LesionSize:
    """Measure the largest connected component of a mask as with calipers.

    The long axis is the largest distance between two points of the outline (largest Feret
    diameter), the short axis the extent across it. The outline runs through the middle of every
    pixel edge between mask and not mask, so a row of n pixels is n long and 1 wide. Where pixels
    are not square, the long axis may run elsewhere in millimeters than in pixels.

    Args:
      mask: (h, w); pixels that share a corner are of one piece.
      spacing_mm: height and width of a pixel; None where unknown.

    Raises:
      ValueError: the mask is not boolean (h, w), or a spacing is not positive.
    """
    check.rank("mask", mask, 2)
    if mask.dtype != np.bool_:
        raise ValueError(f"mask must be boolean; got {mask.dtype}: compare labels to an id")
    for spacing in spacing_mm or ():
        check.positive("spacing_mm", spacing)
    ids, areas = components(mask[None], neighbors=26)
    area = int(areas.max(initial=0))
    outline = _outline(ids[0] == np.argmax(areas) + 1 if area else mask)
    in_pixels = (*_axes(outline), area, len(areas))
    if spacing_mm is None:
        return LesionSize(*in_pixels)
    scale = np.asarray(spacing_mm, np.float64)
    return LesionSize(*in_pixels, *_axes(outline * scale), area * float(scale.prod()))


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The connected component of a mask (h, w) that `measure` measures; empty for an empty mask."""
    ids, areas = components(mask[None], neighbors=26)
    return ids[0] == np.argmax(areas) + 1 if areas.size else mask


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n, 2) middles of the pixel edges on the border of a mask, in pixels."""
    padded = np.pad(mask, 1)
    # An edge lies half a pixel before the second of the two that it separates; padding adds one.
    edges = [np.argwhere(np.diff(padded, axis=axis)) + half for axis, half in enumerate(HALVES)]
    return np.concatenate(edges) - 1.0


def _axes(outline: NDArray[np.float64]) -> tuple[float, float]:
    """Long and short axis of a set of points; nan of none."""
    if not outline.size:
        return NAN, NAN
    corners = outline[ConvexHull(outline).vertices]
    distances = cdist(corners, corners)
    first, second = np.unravel_index(np.argmax(distances), distances.shape)
    long_axis = float(distances[first, second])
    row, column = (corners[second] - corners[first]) / long_axis
    return long_axis, float(np.ptp(corners @ np.array([-column, row])))
