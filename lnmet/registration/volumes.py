"""Scans and label maps of any grid on the fixed grid, through a displacement field."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real, Shaped

from core.volume import Volume
from lnmet.registration.fields import identity, sample, warp_label

AIR_HU = -1024.0
"""Where a scan did not reach."""
SLICES = 8
"""That are warped at a time: bounds the memory."""


def warp_volume(
    moving: Volume, fixed: Volume, field: Float[np.ndarray, "3 d h w"], *, fill: float
) -> Volume:
    """Scan on the fixed grid, trilinear, interpolated once from its own voxels.

    Args:
      moving: HU, on any grid.
      fixed: gives the grid.
      field: of the fixed grid, in its voxels.
      fill: where the moving scan did not reach, `AIR_HU`.

    Returns:
      Same type of voxels, integers rounded.
    """

    def warped(*part: Any) -> np.ndarray:
        hu = np.asarray(_linear(*part, fill))
        return np.rint(hu) if np.issubdtype(moving.array.dtype, np.integer) else hu

    return _in_parts(warped, moving, fixed, field)


def warp_label_volume(moving: Volume, fixed: Volume, field: Float[np.ndarray, "3 d h w"]) -> Volume:
    """Label map, or mask, of a moving scan on the fixed grid: of the nearest voxel, 0 beyond.

    Args:
      moving: ids or bool, on any grid.
      fixed: gives the grid.
      field: of the fixed grid, in its voxels.
    """
    return _in_parts(lambda *part: np.asarray(_nearest(*part)), moving, fixed, field)


def _in_parts(
    warped: Callable[..., np.ndarray],
    moving: Volume,
    fixed: Volume,
    field: Float[np.ndarray, "3 d h w"],
) -> Volume:
    """A few slices at a time: `warped` gets the moving array, the places of the slices in it."""
    to_moving = np.linalg.inv(moving.affine_lps) @ fixed.affine_lps
    values, depth = jnp.asarray(moving.array), fixed.shape[0]
    num = min(SLICES, depth)
    out = np.empty(fixed.shape, moving.array.dtype)
    for wanted in range(0, depth, num):
        # The last part reaches back, so that all have one shape.
        start = min(wanted, depth - num)
        part = slice(start, start + num)
        offset = to_moving[:3, 3] + to_moving[:3, 0] * start
        out[part] = warped(values, field[:, part], to_moving[:3, :3], offset)
    return fixed.with_array(out)


@jax.jit
def _linear(
    values: Real[Array, "i j k"],
    field: Float[Array, "3 d h w"],
    linear: Float[Array, "3 3"],
    offset: Float[Array, "3"],
    fill: Float[Array, ""],
) -> Float[Array, "d h w"]:
    return sample(values[..., None], _places(field, linear, offset), fill=fill)[..., 0]


@jax.jit
def _nearest(
    label: Shaped[Array, "i j k"],
    field: Float[Array, "3 d h w"],
    linear: Float[Array, "3 3"],
    offset: Float[Array, "3"],
) -> Shaped[Array, "d h w"]:
    # One voxel of background around it is what lies beyond.
    places = _places(field, linear, offset) + 1
    return warp_label(jnp.pad(label, 1), places - identity(field.shape[1:]))


def _places(
    field: Float[Array, "3 d h w"], linear: Float[Array, "3 3"], offset: Float[Array, "3"]
) -> Float[Array, "3 d h w"]:
    places = identity(field.shape[1:]) + field
    places = jnp.einsum("ab,bdhw->adhw", linear, places, precision="highest")
    return places + offset.reshape(3, 1, 1, 1)
