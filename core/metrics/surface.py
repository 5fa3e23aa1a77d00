"""Distances between the surfaces of two masks, and their summaries.

The contour of a mask is made of those of its pixels (voxels) that have a 4-neighbor (6-neighbor)
outside it; beyond the border of the image everything is outside. Distances run between the centers
of such pixels and come from an exact Euclidean distance transform.

Empty masks: two empty masks have no distance, nan. Where exactly one is empty every distance is
infinite, the least of no numbers, and so is every summary but the surface Dice, which is 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core import check
from core.metrics.overlap import ratio


class SurfaceDistances(NamedTuple):
    """From every point of one contour to the nearest point of the other; inf where it has none."""

    pred_to_true: NDArray[np.float64]
    true_to_pred: NDArray[np.float64]


def contour(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Those pixels of a mask that touch what is not mask, across an edge (3D: a face).

    Args:
      mask: any number of axes.

    Raises:
      ValueError: the mask is not boolean.
    """
    if mask.dtype != np.bool_:
        raise ValueError(f"mask must be boolean; got {mask.dtype}: compare labels to an id")
    return mask & np.logical_not(ndimage.binary_erosion(mask, border_value=0))


def surface_distances(
    pred_mask: NDArray[np.bool_],
    true_mask: NDArray[np.bool_],
    *,
    spacing: Sequence[float] | None = None,
) -> SurfaceDistances:
    """Distances between the contours of two masks, both ways.

    Args:
      pred_mask: prediction, 2D or 3D.
      true_mask: truth, same shape.
      spacing: of the pixels by axis, in the unit that distances are wanted in; None counts pixels.

    Raises:
      ValueError: the shapes differ, an array is not boolean, or there is not one positive spacing
        per axis.
    """
    check.rank("pred_mask", pred_mask, (2, 3))
    check.same_shape(pred_mask=pred_mask, true_mask=true_mask)
    spacing = (1.0,) * pred_mask.ndim if spacing is None else tuple(spacing)
    if len(spacing) != pred_mask.ndim or not all(0 < s < np.inf for s in spacing):
        raise ValueError(f"spacing must be {pred_mask.ndim} positive numbers; got {spacing}")
    # Both contours lie inside the box around the two masks, and next to it there is no mask.
    box = ndimage.find_objects((pred_mask | true_mask).astype(np.uint8))
    inside = box[0] if box else ()
    pred, true = contour(pred_mask[inside]), contour(true_mask[inside])
    return SurfaceDistances(_to_nearest(pred, true, spacing), _to_nearest(true, pred, spacing))


def average_distance(distances: SurfaceDistances) -> float:
    """The larger of the two mean distances.

    max( mean_a min_b d(a, b), mean_b min_a d(b, a) )

    Source: Cancers 2022 (EUSDAF), Eq. 4.
    """
    return _undefined(distances) or float(max(d.mean() for d in distances))


def hausdorff(distances: SurfaceDistances, *, percentile: float = 100.0) -> float:
    """The Hausdorff distance, or its robust form: the larger of the two percentiles.

    max( max_a min_b d(a, b), max_b min_a d(b, a) )

    Args:
      distances: between two contours.
      percentile: in [0, 100], linearly interpolated; 95 gives "HD95".

    Raises:
      ValueError: a percentile outside [0, 100].

    Source: Cancers 2022 (EUSDAF), Eq. 5.
    """
    if not 0 <= percentile <= 100:
        raise ValueError(f"percentile must lie in [0, 100]; got {percentile}")
    return _undefined(distances) or float(max(np.percentile(d, percentile) for d in distances))


def mean_absolute_distance(distances: SurfaceDistances) -> float:
    """The mean of the two mean distances; not the mean over all points of both contours.

    ½ ( mean_a min_b d(a, b) + mean_b min_a d(b, a) )

    Source: Cancers 2022 (EUSDAF), Eq. 6.
    """
    return _undefined(distances) or float(sum(d.mean() for d in distances) / 2)


def surface_dice(distances: SurfaceDistances, *, tolerance: float) -> float:
    """Share of the points of both contours that lie within a tolerance of the other contour.

    Args:
      distances: between two contours.
      tolerance: a distance that counts as none, in the unit of the distances.

    Returns:
      A number in [0, 1]; 0 where exactly one mask is empty, nan where both are.

    Raises:
      ValueError: a negative tolerance.

    Source: Nikolov et al. 2021, J Med Internet Res 23, with points in place of surface elements.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must not be negative; got {tolerance}")
    near = sum(int(np.count_nonzero(d <= tolerance)) for d in distances)
    return ratio(near, sum(d.size for d in distances))


def _to_nearest(
    points: NDArray[np.bool_], others: NDArray[np.bool_], spacing: tuple[float, ...]
) -> NDArray[np.float64]:
    if not others.any():  # scipy's transform would measure to a point that is not there
        return np.full(np.count_nonzero(points), np.inf)
    return ndimage.distance_transform_edt(~others, sampling=spacing)[points]  # type: ignore[index]


def _undefined(distances: SurfaceDistances) -> float:
    """0 where summaries are finite; nan for two empty masks, inf for one."""
    sizes = [d.size for d in distances]
    return 0.0 if all(sizes) else np.inf if any(sizes) else np.nan
