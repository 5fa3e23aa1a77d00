"""ConvexAdam: a discrete search over all displacements, refined by gradient descent.

Source: Siebert, Großbröhmer, Hansen & Heinrich 2021 (Learn2Reg) and the package `convexadam` 0.2.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from core import check
from core.compiler import of_config
from lnmet.registration.config import ConvexAdamConfig
from lnmet.registration.convex import cost_volume, coupled_convex, make_consistent
from lnmet.registration.fields import interpolate
from lnmet.registration.instance import refine
from lnmet.registration.mind import mind_ssc


def register(
    fixed: Real[np.ndarray, "d h w"], moving: Real[np.ndarray, "i j k"], cfg: ConvexAdamConfig
) -> Float[np.ndarray, "3 d h w"]:
    """Displacement field that brings the moving onto the fixed image.

    Compiled once for a config and a shape. On a shape that the grid spacings do not divide, the
    voxels left over at the far ends belong to no node; the field is stretched over them.

    Args:
      fixed: HU, or any unit.
      moving: on the same grid.
      cfg: numbers of the method.

    Returns:
      In voxels; the warped image is moving(x + u(x)).

    Raises:
      ValueError: images of different shape, or smaller than two nodes of the coarse grid.
    """
    check.same_shape(fixed=fixed, moving=moving)
    if min(fixed.shape) < 2 * cfg.grid_spacing:
        raise ValueError(
            f"images must have at least {2 * cfg.grid_spacing} voxels along each axis, two nodes "
            f"of grid_spacing={cfg.grid_spacing}; got {fixed.shape}"
        )
    field = of_config(_register, cfg)(np.asarray(fixed, np.float32), np.asarray(moving, np.float32))
    return np.asarray(field)


def _register(
    cfg: ConvexAdamConfig, fixed: Float[Array, "d h w"], moving: Float[Array, "d h w"]
) -> Float[Array, "3 d h w"]:
    shape, fine = fixed.shape, cfg.fine_grid_spacing
    features = [
        mind_ssc(image, radius=cfg.mind_radius, dilation=cfg.mind_dilation)
        for image in (fixed, moving)
    ]
    fixed_nodes, moving_nodes = (pool(f, cfg.grid_spacing) for f in features)
    coarse = search(fixed_nodes, moving_nodes, cfg)
    start = interpolate(coarse * cfg.grid_spacing, shape)
    fine_shape = tuple(n // fine for n in shape)
    refined = refine(
        interpolate(start, fine_shape) / fine,
        *(pool(f, fine) for f in features),
        smoothness=cfg.smoothness,
        iterations=cfg.iterations,
        learning_rate=cfg.learning_rate,
    )
    return interpolate(refined * fine, shape)


def search(
    fixed: Float[Array, "d h w c"], moving: Float[Array, "d h w c"], cfg: ConvexAdamConfig
) -> Float[Array, "3 d h w"]:
    """Coarse field in nodes: both directions by coupled convex optimisation, made consistent."""

    def one_way(target: Array, source: Array) -> Array:
        costs = cost_volume(target, source, cfg.search_radius)
        return coupled_convex(costs, cfg.search_radius, cfg.couplings)

    ways = one_way(fixed, moving), one_way(moving, fixed)
    return make_consistent(*ways, cfg.consistency_iterations)[0]


def pool(features: Float[Array, "d h w c"], size: int) -> Float[Array, "i j k c"]:
    """Means of blocks of size³ voxels; what is left over at the far ends is dropped."""
    d, h, w = (n // size for n in features.shape[:3])
    blocks = features[: d * size, : h * size, : w * size]
    return jnp.mean(blocks.reshape(d, size, h, size, w, size, -1), axis=(1, 3, 5))
