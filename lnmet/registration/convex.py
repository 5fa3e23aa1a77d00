"""Discrete search of ConvexAdam: every displacement is tried, then smoothness is coupled in.

All displacements are in nodes of the coarse grid. The cost volume, (2r + 1)³ costs per node, is the
one thing that is kept; what leads to it is computed for one displacement at a time.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Integer

from lnmet.registration.fields import identity, sample


def displacements(radius: int) -> Integer[np.ndarray, "n 3"]:
    """All (z, y, x) within a radius along each axis, z the fastest, so that ties fall alike."""
    steps = np.arange(-radius, radius + 1)
    x, y, z = np.meshgrid(steps, steps, steps, indexing="ij")
    return np.stack([z.ravel(), y.ravel(), x.ravel()], axis=1)


def cost_volume(
    fixed: Float[Array, "d h w c"], moving: Float[Array, "d h w c"], radius: int
) -> Float[Array, "n d h w"]:
    """Sum of squared differences of the features for each displacement, smoothed twice.

    Args:
      fixed: features at the nodes.
      moving: features at the nodes, 0 beyond their border.
      radius: of the displacements along each axis.

    Returns:
      Costs in the order of `displacements`.
    """
    # Features lead, so that a sum over them runs over whole slices.
    fixed, moving = jnp.moveaxis(fixed, -1, 0), jnp.moveaxis(moving, -1, 0)
    padded = jnp.pad(moving, ((0, 0), *((radius, radius),) * 3))

    def cost(displacement: Array) -> Float[Array, "d h w"]:
        start = (0, *(displacement + radius))
        shifted = lax.dynamic_slice(padded, start, fixed.shape)
        return smooth(smooth(jnp.sum((fixed - shifted) ** 2, axis=0)))

    return lax.map(cost, jnp.asarray(displacements(radius), jnp.int32))


def coupled_convex(
    costs: Float[Array, "n d h w"], radius: int, couplings: tuple[float, ...]
) -> Float[Array, "3 d h w"]:
    """Field that is cheap and smooth: u = smooth(argmin_d cost(d) + θ |d − u|²), θ growing.

    It begins with u = smooth(argmin_d cost(d)).

    Args:
      costs: of `cost_volume`.
      radius: of its displacements.
      couplings: θ of each pass.

    Source: Siebert et al. 2021 (Learn2Reg), after Heinrich et al. 2014 (MICCAI).
    """
    table = jnp.asarray(displacements(radius), jnp.float32)

    def cheapest(costs: Array) -> Float[Array, "3 d h w"]:
        return smooth(jnp.moveaxis(table[jnp.argmin(costs, axis=0)], -1, 0))

    field = cheapest(costs)
    for coupling in couplings:
        apart = sum((table[:, a].reshape(-1, 1, 1, 1) - field[a][None]) ** 2 for a in range(3))
        field = cheapest(costs + coupling * apart)
    return field


def make_consistent(
    forward: Float[Array, "3 d h w"], backward: Float[Array, "3 d h w"], iterations: int
) -> tuple[Float[Array, "3 d h w"], Float[Array, "3 d h w"]]:
    """Two fields that undo each other: u ← ½ (u − v∘(id + u)) and the same for v, together."""

    def improve(_: Array, fields: tuple[Array, Array]) -> tuple[Array, Array]:
        u, v = fields
        return 0.5 * (u - sampled_as_published(v, u)), 0.5 * (v - sampled_as_published(u, v))

    return lax.fori_loop(0, iterations, improve, (forward, backward))


def published_places(field: Float[Array, "3 d h w"]) -> Float[Array, "3 d h w"]:
    """Where ConvexAdam looks for x + u(x): at x + u(x) · n / (n − 1), n nodes along the axis.

    It divides displacements by (n − 1) / 2 but places are counted in halves of n. Kept, so that
    fields are the published ones; on 30 nodes it is 3 % of the displacement.
    """
    stretch = [n / (n - 1) for n in field.shape[1:]]
    return identity(field.shape[1:]) + field * jnp.asarray(stretch, jnp.float32).reshape(3, 1, 1, 1)


def sampled_as_published(
    values: Float[Array, "3 d h w"], field: Float[Array, "3 d h w"]
) -> Float[Array, "3 d h w"]:
    """A field at the places that another one points to, 0 beyond its border."""
    sampled = sample(jnp.moveaxis(values, 0, -1), published_places(field), fill=0.0)
    return jnp.moveaxis(sampled, -1, 0)


def smooth(values: Float[Array, "*c d h w"]) -> Float[Array, "*c d h w"]:
    """Mean over 3³ voxels, 0 beyond the border."""
    for axis in range(values.ndim - 3, values.ndim):
        size = values.shape[axis]
        padded = jnp.pad(values, [(1, 1) if a == axis else (0, 0) for a in range(values.ndim)])
        before, at, after = (lax.slice_in_dim(padded, s, s + size, axis=axis) for s in range(3))
        values = before + at + after
    return values / 27
