"""Instance optimisation of ConvexAdam: a fine field for one pair of images, by gradient descent."""

from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float

from lnmet.registration.convex import published_places
from lnmet.registration.fields import sample

VOXELS_AT_A_TIME = 2**17
"""Whose features are interpolated together: bounds the memory, changes no result."""


def refine(
    field: Float[Array, "3 d h w"],
    fixed: Float[Array, "d h w c"],
    moving: Float[Array, "d h w c"],
    *,
    smoothness: float,
    iterations: int,
    learning_rate: float,
) -> Float[Array, "3 d h w"]:
    """Field that makes the features alike, by Adam.

    The field is u = S p, three 3³ means of the parameters p; the loss is
    12 · mean over voxels and channels of (moving(x + u) − fixed)² + λ Σ_axes mean (u_{i+1} − u_i)².

    Args:
      field: to start from, p, in nodes.
      fixed: features at the nodes.
      moving: features at the nodes, 0 beyond their border.
      smoothness: λ.
      iterations: of Adam, the last of which changes p but not what is returned.
      learning_rate: of Adam, in nodes.

    Returns:
      u before the last step.
    """
    adam = optax.adam(learning_rate)

    def step(_: Array, carry: tuple) -> tuple:
        params, state = carry
        moved = smooth3(params)
        slope = _data_slope(moved, fixed, moving) + smoothness * jax.grad(roughness)(moved)
        # Means of 3³ voxels weigh symmetrically: S is its own transpose.
        updates, state = adam.update(smooth3(slope), state, params)
        return optax.apply_updates(params, updates), state

    params, _ = lax.fori_loop(0, iterations - 1, step, (field, adam.init(field)))
    return smooth3(params)


def roughness(field: Float[Array, "3 d h w"]) -> Float[Array, ""]:
    """Σ_axes mean of the squared differences between neighbouring nodes."""
    differences = (jnp.diff(field, axis=axis) for axis in (1, 2, 3))
    return sum((jnp.mean(d**2) for d in differences), start=jnp.float32(0))


def smooth3(field: Float[Array, "3 d h w"]) -> Float[Array, "3 d h w"]:
    """Mean over 3³ nodes, 0 beyond the border, three times.

    As one product along each axis with the cube of its matrix: as 27 shifted sums XLA's CPU
    compiler fuses all of a step, and spends two thirds of it on recomputing these.
    """
    for axis, size in enumerate(field.shape[1:], start=1):
        mean = (np.eye(size) + np.eye(size, k=1) + np.eye(size, k=-1)) / 3
        matrix = jnp.asarray(np.linalg.matrix_power(mean, 3), jnp.float32)
        moved = jnp.tensordot(matrix, field, (1, axis), precision="highest")
        field = jnp.moveaxis(moved, 0, axis)
    return field


def _data_slope(
    field: Float[Array, "3 d h w"],
    fixed: Float[Array, "d h w c"],
    moving: Float[Array, "d h w c"],
) -> Float[Array, "3 d h w"]:
    """Gradient of 12 · mean (moving(x + u) − fixed)², a few slices at a time."""

    def cost(places: Array, features: Array) -> Array:
        return jnp.sum((sample(moving, places, fill=0.0) - features) ** 2)

    depth, *in_plane = field.shape[1:]
    slopes = lax.map(
        lambda part: jax.grad(cost)(*part),
        (jnp.moveaxis(published_places(field), 1, 0), fixed),
        batch_size=max(1, min(depth, VOXELS_AT_A_TIME // prod(in_plane))),
    )
    sizes = jnp.asarray(field.shape[1:], jnp.float32).reshape(3, 1, 1, 1)
    by_displacement = jnp.moveaxis(slopes, 1, 0) * (sizes / (sizes - 1))
    return by_displacement * (12 / fixed.size)
