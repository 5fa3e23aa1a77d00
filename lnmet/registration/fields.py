"""Displacement fields: what they do to images, labels and points; composed, inverted, resized.

A field u is (3, d, h, w), axis 0 = (z, y, x), in voxels of its own grid; voxel x of the fixed image
belongs to the place x + u(x) of the moving one. Functions are pure and made to be jitted; nothing
is kept in more than the precision that comes in, float32.
"""

from collections.abc import Sequence
from itertools import product

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Real, Shaped

from core.preprocess.resample import linear_weights

Shape = tuple[int, ...]
Fill = float | Float[Array, ""] | None


def identity(shape: Shape) -> Float[Array, "3 d h w"]:
    """Place of every voxel."""
    axes = (lax.broadcasted_iota(jnp.float32, shape, axis) for axis in range(3))
    return jnp.stack(tuple(axes))


def sample(
    values: Real[Array, "d h w c"], places: Float[Array, "3 *s"], *, fill: Fill = None
) -> Float[Array, "*s c"]:
    """Values between voxels, trilinear.

    Args:
      values: channel last.
      places: (z, y, x) in voxels.
      fill: the value of all voxels beyond the border, into which the outermost ones fade over one
        voxel; None for that of the nearest voxel inside.
    """
    sizes = jnp.asarray(values.shape[:3], jnp.float32).reshape(3, *(1,) * (places.ndim - 1))
    if fill is None:
        places = jnp.clip(places, 0.0, sizes - 1)
    base = jnp.floor(places)
    share = places - base
    rows = values.reshape(-1, values.shape[3])
    sampled = jnp.zeros((*places.shape[1:], values.shape[3]), jnp.float32)
    inside = jnp.zeros(places.shape[1:], jnp.float32)
    for corner in product((0.0, 1.0), repeat=3):
        at = [base[a] + corner[a] for a in range(3)]
        weight = jnp.ones(places.shape[1:], jnp.float32)
        for a in range(3):
            weight *= share[a] if corner[a] else 1 - share[a]
            if fill is not None:
                weight *= (at[a] >= 0) & (at[a] <= sizes[a] - 1)
        sampled += weight[..., None] * _at(rows, at, values.shape[:3])
        inside += weight
    return sampled if fill is None else sampled + (fill * (1 - inside))[..., None]


def warp(
    image: Real[Array, "i j k"], field: Float[Array, "3 d h w"], *, fill: Fill = None
) -> Float[Array, "d h w"]:
    """Moving image on the fixed grid: image(x + u(x)), trilinear.

    Args:
      image: the moving one.
      field: of the fixed grid.
      fill: as for `sample`; None repeats the border.
    """
    places = identity(field.shape[1:]) + field
    return sample(image[..., None], places, fill=fill)[..., 0]


def warp_label(
    label: Shaped[Array, "i j k"], field: Float[Array, "3 d h w"]
) -> Shaped[Array, "d h w"]:
    """Moving label map, or mask, on the fixed grid: of the nearest voxel, clamped to the border."""
    places = jnp.round(identity(field.shape[1:]) + field)
    return _at(label.reshape(-1, 1), list(places), label.shape)[..., 0]


def transport(points: Float[Array, "n 3"], field: Float[Array, "3 d h w"]) -> Float[Array, "n 3"]:
    """Points of the fixed grid in the moving one: x + u(x).

    The other way, from moving to fixed, is `transport(points, invert(field))`.

    Args:
      points: (z, y, x) in voxels.
      field: sampled between its voxels, clamped to its border.
    """
    return points + sample(jnp.moveaxis(field, 0, -1), points.T)


def compose(outer: Float[Array, "3 d h w"], inner: Float[Array, "3 d h w"]) -> Array:
    """Field of two warps in one, warp(warp(image, outer), inner): v(x) + u(x + v(x)).

    Args:
      outer: u, which was applied to the image first.
      inner: v.

    Returns:
      (3, d, h, w).
    """
    places = identity(inner.shape[1:]) + inner
    return inner + jnp.moveaxis(sample(jnp.moveaxis(outer, 0, -1), places), -1, 0)


def invert(field: Float[Array, "3 d h w"], *, iterations: int = 20) -> Float[Array, "3 d h w"]:
    """Field of the way back: v with v(y) = −u(y + v(y)), by fixed-point iteration.

    Each iteration shrinks the error by the largest slope of the field, which is below 1 in a field
    that is smooth and does not fold; beyond the border u goes on as at the border.

    Args:
      field: u.
      iterations: 20 take a slope of 0.5 to a millionth.
    """
    values = jnp.moveaxis(field, 0, -1)
    voxels = identity(field.shape[1:])

    def improve(_: Array, back: Array) -> Array:
        return -jnp.moveaxis(sample(values, voxels + back), -1, 0)

    return lax.fori_loop(0, iterations, improve, jnp.zeros_like(field))


def interpolate(field: Float[Array, "3 d h w"], shape: Shape) -> Float[Array, "3 i j k"]:
    """Components at another resolution, unchanged in size: edges of the grids coincide."""
    for axis, size in enumerate(shape, start=1):
        matrix = jnp.asarray(linear_weights(field.shape[axis], size))
        # Accelerators multiply in fewer bits unless told.
        moved = jnp.tensordot(matrix, field, (1, axis), precision="highest")
        field = jnp.moveaxis(moved, 0, axis)
    return field


def resize(field: Float[Array, "3 d h w"], shape: Shape) -> Float[Array, "3 i j k"]:
    """The same displacements on a finer or coarser grid of the same extent, in its voxels."""
    factors = [new / old for new, old in zip(shape, field.shape[1:], strict=True)]
    return interpolate(field, shape) * jnp.asarray(factors, jnp.float32).reshape(3, 1, 1, 1)


def _at(rows: Shaped[Array, "n c"], at: Sequence[Array], shape: Sequence[int]) -> Array:
    """Rows of the voxels at whole places (z, y, x), clamped to the border."""
    z, y, x = (
        jnp.clip(place, 0, size - 1).astype(jnp.int32)
        for place, size in zip(at, shape, strict=True)
    )
    return rows.at[(z * shape[1] + y) * shape[2] + x].get(mode="promise_in_bounds")
