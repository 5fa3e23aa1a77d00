"""ConvexAdam: a discrete search over all displacements, refined by gradient descent.

Source: Siebert, Großbröhmer, Hansen & Heinrich 2021 (Learn2Reg) and the package `convexadam` 0.2.
"""

from collections.abc import Sequence

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

    Compiled once for a config and a shape. Memory is that of 58 float32 copies of an image, most of
    it descriptors: 0.6 GB for 120 × 144 × 168 voxels, 17 GB for 300 × 512 × 512. On a shape that
    the grid spacings do not divide, the voxels left over at the far ends belong to no node; the
    field is stretched over them, as published.

    Args:
      fixed: HU, or any unit.
      moving: on the same grid.
      cfg: numbers of the method.

    Returns:
      In voxels; the warped image is moving(x + u(x)).

    Raises:
      ValueError: images of different shape, or smaller than two nodes of the coarse grid.
    """
    return np.asarray(of_config(_one_way, cfg)(*_checked(fixed, moving, cfg)))


def register_both(
    fixed: Real[np.ndarray, "d h w"], moving: Real[np.ndarray, "i j k"], cfg: ConvexAdamConfig
) -> tuple[Float[np.ndarray, "3 d h w"], Float[np.ndarray, "3 d h w"]]:
    """The field of `register`, and the one of the way back, which only Adam has to work for."""
    forward, backward = of_config(_both_ways, cfg)(*_checked(fixed, moving, cfg))
    return np.asarray(forward), np.asarray(backward)


def _checked(
    fixed: Real[np.ndarray, "d h w"], moving: Real[np.ndarray, "i j k"], cfg: ConvexAdamConfig
) -> tuple[Float[np.ndarray, "d h w"], Float[np.ndarray, "d h w"]]:
    check.same_shape(fixed=fixed, moving=moving)
    if min(fixed.shape) < 2 * cfg.grid_spacing:
        raise ValueError(
            f"images must have at least {2 * cfg.grid_spacing} voxels along each axis, two nodes "
            f"of grid_spacing={cfg.grid_spacing}; got {fixed.shape}"
        )
    return np.asarray(fixed, np.float32), np.asarray(moving, np.float32)


def _one_way(
    cfg: ConvexAdamConfig, fixed: Float[Array, "d h w"], moving: Float[Array, "d h w"]
) -> Float[Array, "3 d h w"]:
    features = [_features(cfg, image) for image in (fixed, moving)]
    return _refined(cfg, search(*_pooled(features, cfg), cfg)[0], *features)


def _both_ways(
    cfg: ConvexAdamConfig, fixed: Float[Array, "d h w"], moving: Float[Array, "d h w"]
) -> tuple[Float[Array, "3 d h w"], Float[Array, "3 d h w"]]:
    features = [_features(cfg, image) for image in (fixed, moving)]
    forward, backward = search(*_pooled(features, cfg), cfg)
    return _refined(cfg, forward, *features), _refined(cfg, backward, *features[::-1])


def search(
    fixed: Float[Array, "d h w c"], moving: Float[Array, "d h w c"], cfg: ConvexAdamConfig
) -> tuple[Float[Array, "3 d h w"], Float[Array, "3 d h w"]]:
    """Coarse fields there and back, in nodes: by coupled convex optimisation, made consistent."""

    def one_way(target: Array, source: Array) -> Array:
        costs = cost_volume(target, source, cfg.search_radius)
        return coupled_convex(costs, cfg.search_radius, cfg.couplings)

    ways = one_way(fixed, moving), one_way(moving, fixed)
    return make_consistent(*ways, cfg.consistency_iterations)


def pool(features: Float[Array, "d h w c"], size: int) -> Float[Array, "i j k c"]:
    """Means of blocks of size³ voxels; what is left over at the far ends is dropped."""
    d, h, w = (n // size for n in features.shape[:3])
    blocks = features[: d * size, : h * size, : w * size]
    return jnp.mean(blocks.reshape(d, size, h, size, w, size, -1), axis=(1, 3, 5))


def _features(cfg: ConvexAdamConfig, image: Float[Array, "d h w"]) -> Float[Array, "d h w 12"]:
    return mind_ssc(image, radius=cfg.mind_radius, dilation=cfg.mind_dilation)


def _pooled(features: Sequence[Array], cfg: ConvexAdamConfig) -> tuple[Array, Array]:
    fixed, moving = (pool(f, cfg.grid_spacing) for f in features)
    return fixed, moving


def _refined(
    cfg: ConvexAdamConfig,
    coarse: Float[Array, "3 i j k"],
    fixed: Float[Array, "d h w c"],
    moving: Float[Array, "d h w c"],
) -> Float[Array, "3 d h w"]:
    """Coarse field brought to voxels, and to the fine nodes, where Adam goes on; in voxels."""
    shape, fine = fixed.shape[:3], cfg.fine_grid_spacing
    start = interpolate(coarse * cfg.grid_spacing, shape)
    refined = refine(
        interpolate(start, tuple(n // fine for n in shape)) / fine,
        pool(fixed, fine),
        pool(moving, fine),
        smoothness=cfg.smoothness,
        iterations=cfg.iterations,
        learning_rate=cfg.learning_rate,
    )
    return interpolate(refined * fine, shape)
