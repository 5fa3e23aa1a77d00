"""DEEDS: discrete dense displacement search with trees (Heinrich et al. 2013; deedsBCV).

At each of five levels every block of one image looks for its like in the other among thousands of
displacements, and belief propagation over a tree finds the set of displacements that is the best
as a whole. Both directions are searched and made to agree.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from core import check
from core.compiler import of_config
from lnmet.registration.deeds_config import DeedsConfig, Level
from lnmet.registration.deeds_costs import block_costs
from lnmet.registration.deeds_descriptors import descriptors
from lnmet.registration.deeds_fields import consistent, upsampled
from lnmet.registration.deeds_propagation import best_labels
from lnmet.registration.deeds_tree import Tree, spanning_tree
from lnmet.registration.fields import warp


def register(
    fixed: Real[np.ndarray, "d h w"],
    moving: Real[np.ndarray, "i j k"],
    cfg: DeedsConfig = DeedsConfig(),  # noqa: B008 - frozen
) -> Float[np.ndarray, "3 d h w"]:
    """Displacement field that brings the moving onto the fixed image.

    Compiled once for a config and a shape. All levels see the whole images. Memory is that of the
    costs (`block_costs`) and 25 float32 copies of an image: 11 GB for 300 × 512 × 512 voxels.

    Args:
      fixed: HU, or any unit.
      moving: on the same grid.
      cfg: levels and smoothness.

    Returns:
      In voxels; the warped image is moving(x + u(x)).

    Raises:
      ValueError: images of different shape, or smaller than two blocks of a level.

    Source: Heinrich et al., IEEE TMI 2013; deedsBCV.
    """
    return _at_voxels(_search(fixed, moving, cfg)[0], fixed.shape)


def register_both(
    fixed: Real[np.ndarray, "d h w"],
    moving: Real[np.ndarray, "i j k"],
    cfg: DeedsConfig = DeedsConfig(),  # noqa: B008 - frozen
) -> tuple[Float[np.ndarray, "3 d h w"], Float[np.ndarray, "3 d h w"]]:
    """The field of `register`, and the one of the way back, in the same time."""
    forward, backward = _search(fixed, moving, cfg)
    return _at_voxels(forward, fixed.shape), _at_voxels(backward, fixed.shape)


def _search(
    fixed: Real[np.ndarray, "d h w"], moving: Real[np.ndarray, "i j k"], cfg: DeedsConfig
) -> Float[Array, "2 3 _ _ _"]:
    """Both fields on the grid of the last level."""
    check.same_shape(fixed=fixed, moving=moving)
    if min(fixed.shape) < 2 * max(cfg.grid):
        raise ValueError(
            f"images must have at least {2 * max(cfg.grid)} voxels along each axis, two blocks of "
            f"grid={max(cfg.grid)}; got {fixed.shape}"
        )
    images = np.stack([fixed, moving]).astype(np.float32)
    levels = cfg.levels()
    fields = jnp.zeros((2, 3, *levels[0].nodes(fixed.shape)), jnp.float32)
    for level in levels:
        trees = [spanning_tree(image, level.grid) for image in images]
        fields = of_config(_refined, level)(images, fields, trees)
    return fields


def _refined(
    level: Level,
    images: Float[Array, "2 d h w"],
    fields: Float[Array, "2 3 _ _ _"],
    trees: list[Tree],
) -> Float[Array, "2 3 _ _ _"]:
    """Both fields after one level, on its grid; one direction after the other to save memory."""
    nodes = level.nodes(images.shape[1:])
    before = jax.vmap(lambda field: upsampled(field, nodes))(fields)

    def search(way: tuple[Array, Array, Array, Tree]) -> Array:
        target, source, field, tree = way
        warped = warp(source, upsampled(field, source.shape))
        bits = jax.lax.map(
            lambda image: descriptors(image, level.descriptor_step), jnp.stack([target, warped])
        )
        costs = block_costs(bits[0], bits[1], level).reshape(math.prod(nodes), -1)
        start = field.reshape(3, -1) / level.step
        labels = best_labels(costs, start, tree, level.radius)
        chosen = jnp.stack(jnp.unravel_index(labels, (level.labels_per_axis,) * 3))
        return field + level.step * (chosen.reshape(field.shape) - level.radius)

    both_trees = jax.tree.map(lambda *of_image: jnp.stack(of_image), *trees)
    after = jax.lax.map(search, (images, images[::-1], before, both_trees))
    return level.grid * consistent(after / level.grid)


def _at_voxels(
    field: Float[Array, "3 _ _ _"], shape: tuple[int, ...]
) -> Float[np.ndarray, "3 d h w"]:
    return np.asarray(of_config(_upsampled, shape)(field))


def _upsampled(shape: tuple[int, ...], field: Float[Array, "3 _ _ _"]) -> Array:
    return upsampled(field, shape)
