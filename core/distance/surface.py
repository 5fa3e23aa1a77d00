"""Surfaces of masks and the distances between them, on the device.

The same definitions as `core.metrics.surface`, which works on the host and crops; these have static
shapes, may be traced and mapped over, and suit volumes that are on an accelerator already.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from core.distance.edt import signed


class SurfaceMaps(NamedTuple):
    """Distance to the other surface, in mm, at every voxel of a surface; nan elsewhere."""

    pred_to_true: Float[Array, "*s"]
    true_to_pred: Float[Array, "*s"]


def surface(mask: Bool[Array, "*s"]) -> Bool[Array, "*s"]:
    """Voxels of a mask with a face neighbor outside it; beyond the border everything is outside."""
    inside = mask
    for axis in range(mask.ndim):
        padded = jnp.pad(mask, [(1, 1) if a == axis else (0, 0) for a in range(mask.ndim)])
        lower = jnp.take(padded, jnp.arange(mask.shape[axis]), axis=axis)
        upper = jnp.take(padded, jnp.arange(2, mask.shape[axis] + 2), axis=axis)
        inside = inside & lower & upper
    return mask & ~inside


def surface_maps(
    pred: Bool[Array, "*s"], true: Bool[Array, "*s"], spacing_mm: Sequence[float]
) -> SurfaceMaps:
    """Distances between the surfaces of two masks; inf where the other mask is empty.

    Args:
      pred: prediction.
      true: truth.
      spacing_mm: of the voxels by axis.

    Raises:
      ValueError: not one positive spacing per axis.
    """

    def to_other(points: Bool[Array, "*s"], others: Bool[Array, "*s"]) -> Float[Array, "*s"]:
        distances = jnp.maximum(signed(others, spacing_mm), 0.0)
        return jnp.where(points, distances, jnp.nan)

    on_pred, on_true = surface(pred), surface(true)
    return SurfaceMaps(to_other(on_pred, on_true), to_other(on_true, on_pred))


def average_distance(maps: SurfaceMaps) -> Float[Array, ""]:
    """ASD: the larger of the two mean distances in mm; nan for two empty masks, inf for one."""
    return _both(maps, jnp.nanmean)


def hausdorff(maps: SurfaceMaps) -> Float[Array, ""]:
    """The largest distance in mm; nan for two empty masks, inf for one."""
    return _both(maps, jnp.nanmax)


def _both(maps: SurfaceMaps, summary: Callable[[Array], Array]) -> Float[Array, ""]:
    num = [jnp.sum(~jnp.isnan(m)) for m in maps]
    larger = jnp.maximum(*(summary(jnp.where(jnp.isnan(m).all(), 0.0, m)) for m in maps))
    one_is_empty = (num[0] == 0) != (num[1] == 0)
    return jnp.where(num[0] + num[1] == 0, jnp.nan, jnp.where(one_is_empty, jnp.inf, larger))
