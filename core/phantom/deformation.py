"""Phases that do not lie on each other: a scan moved by a smooth field that is known everywhere."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from core import check
from core.phantom.ct.patient import stream
from core.phantom.ct.phantom import LABELS, Phantom
from core.phantom.ct.shapes import Points, lattice
from core.volume import Volume

CELL_MM = 64.0
"""Distance of the control points."""
BREATH = ((-0.5, 0.5), (0.0, 0.5), (0.0, 0.3))
"""Mean and largest departure from it along (z, y, x), in amplitudes: with a breath the whole upper
abdomen moves to the feet, some of it further, and less to the front and the sides."""
INVERSIONS = 12
"""Each halves the error at least, of fields whose slopes stay below ½."""
NODES = ("lymph_node", "metastatic_lymph_node")


class Deformed(NamedTuple):
    """The arterial phase of a patient who has breathed since.

    Args:
      arterial: its scan, on the grid of the venous one.
      field: displacement (3, d, h, w) in voxels, axis 0 = (z, y, x): what lies at voxel x of the
        venous scan lies at x + u(x) of the arterial one.
    """

    arterial: Volume
    field: Float[np.ndarray, "3 d h w"]


def deformed(phantom: Phantom, seed: int, *, amplitude_mm: float) -> Deformed:
    """Move the arterial phase of a phantom by a smooth random field; the venous one stays.

    Args:
      phantom: both phases on one grid.
      seed: of the field.
      amplitude_mm: largest displacement along z; along y and x it is 0.5 and 0.3 of it.

    Returns:
      The moved scan and the exact field.

    Raises:
      ValueError: an amplitude at which the field folds.
    """
    check.positive("amplitude_mm", amplitude_mm)
    image = phantom.images["arterial"]
    field = smooth_field(seed, image.shape, image.spacing_mm, amplitude_mm)
    smallest = float(determinant(field).min())
    if smallest <= 0:
        raise ValueError(
            f"a field of amplitude_mm={amplitude_mm} folds (Jacobian determinant {smallest:.2f}); "
            f"take a smaller one"
        )
    # The scan at y shows what lies at x with x + u(x) = y.
    places = _identity(image.shape) + _inverse(field)
    moved = ndimage.map_coordinates(image.array.astype(np.float32), places, order=1, mode="nearest")
    return Deformed(image.with_array(np.rint(moved).astype(image.array.dtype)), field)


def smooth_field(
    seed: int,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    amplitude_mm: float,
) -> Float[np.ndarray, "3 d h w"]:
    """A breath: random cubic B-splines over control points 64 mm apart, in voxels.

    Args:
      seed: of the control points.
      shape: voxels (d, h, w).
      spacing_mm: of the voxels.
      amplitude_mm: largest displacement along z; along y and x it is 0.5 and 0.3 of it.
    """
    rng = stream(seed, "deformation")
    straight = [np.arange(n, dtype=np.float32) * s for n, s in zip(shape, spacing_mm, strict=True)]
    empty, (z, y, x) = np.empty(shape, np.float32), straight
    points = Points(empty, empty, empty, (x, y, z), slack_mm=0.0)
    extent = [axis[-1] for axis in (x, y, z)]
    field = np.empty((3, *shape), np.float32)
    for component, (mean, departure), step in zip(field, BREATH, spacing_mm, strict=True):
        component[:] = lattice(rng, np.zeros(3), extent, CELL_MM)(points)
        component *= departure / np.abs(component).max()
        component[:] = (mean + component) * (amplitude_mm / step)
    return field


def determinant(field: Float[np.ndarray, "3 d h w"]) -> Float[np.ndarray, "d h w"]:
    """Jacobian determinant of x + u(x), by central differences."""
    slopes = np.stack([np.stack(np.gradient(component), -1) for component in field], -2)
    return np.linalg.det(slopes + np.eye(3, dtype=np.float32))


def node_centers(phantom: Phantom) -> Float[np.ndarray, "n 3"]:
    """Centers (z, y, x) in voxels of the lymph nodes that are in the grid of a phantom."""
    is_node = np.isin(phantom.label.array, [LABELS[name] for name in NODES])
    ids = np.asarray(ndimage.label(is_node)[0])  # type: ignore[index]
    centers = ndimage.center_of_mass(is_node, ids, np.arange(1, ids.max() + 1))
    return np.reshape(centers, (-1, 3))


def _inverse(field: Float[np.ndarray, "3 d h w"]) -> Float[np.ndarray, "3 d h w"]:
    """Field of the way back, v(y) = −u(y + v(y)), by fixed-point iteration."""
    voxels, back = _identity(field.shape[1:]), np.zeros_like(field)
    for _ in range(INVERSIONS):
        places = voxels + back
        back = np.stack(
            [-ndimage.map_coordinates(u, places, order=1, mode="nearest") for u in field]
        )
    return back


def _identity(shape: tuple[int, ...]) -> Float[np.ndarray, "3 d h w"]:
    return np.indices(shape, np.float32)
