"""Fields of DEEDS between grids: sampling, upsampling, and a field against its inverse."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from lnmet.registration.fields import warp

ROUNDS = 10
"""Of making a field and its inverse agree."""


def upsampled(field: Float[Array, "3 _ _ _"], shape: Sequence[int]) -> Float[Array, "3 _ _ _"]:
    """Trilinear to another grid, whose place i along an axis is i · (old / new size) of the old."""
    for axis, size in enumerate(shape, start=1):
        old = field.shape[axis]
        place = np.arange(size, dtype=np.float32) / np.float32(size / old)
        low = np.minimum(place.astype(int), old - 1)
        weight = jnp.expand_dims(place - low.astype(np.float32), [a for a in range(4) if a != axis])
        below = jnp.take(field, low, axis=axis)
        above = jnp.take(field, np.minimum(low + 1, old - 1), axis=axis)
        field = (1 - weight) * below + weight * above
    return field


def consistent(fields: Float[Array, "2 3 d h w"]) -> Float[Array, "2 3 d h w"]:
    """Make a field and its inverse agree: u ← ½ (u − v∘(id + u)), and v likewise, ten times.

    Args:
      fields: u and v on their grid, in units of the grid.
    """
    at_once = jax.vmap(jax.vmap(warp, in_axes=(0, None)))

    def meet(_: Array, fields: Array) -> Array:
        return (fields - at_once(fields[::-1], fields)) / 2

    return lax.fori_loop(0, ROUNDS, meet, fields)
