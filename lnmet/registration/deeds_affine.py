"""Affine map between two phases, for those that lie too far apart for DEEDS (linearBCV).

Blocks look for their like as in DEEDS, in both directions and without a tree; an affine map is
fitted to those that it suits best. Phases of one examination share their frame and need none.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Integer, Real
from scipy.ndimage import affine_transform

from core import check
from core.compiler import of_config
from core.errors import InputError
from lnmet.registration.deeds import register
from lnmet.registration.deeds_config import AffineConfig, DeedsConfig, Level
from lnmet.registration.deeds_costs import block_costs
from lnmet.registration.deeds_descriptors import descriptors

LEAST_BLOCKS = 6
"""Along each axis, of which those at the border do not count."""

LEAST_MATCHES = 24
"""Of blocks in each direction: twice as many as numbers in the map; half of them are heard."""


def register_aligned(
    fixed: Real[np.ndarray, "d h w"],
    moving: Real[np.ndarray, "i j k"],
    cfg: DeedsConfig = DeedsConfig(),  # noqa: B008 - frozen
    affine: AffineConfig = AffineConfig(),  # noqa: B008 - frozen
) -> Float[np.ndarray, "3 d h w"]:
    """The field of `register` behind an affine map: A (x + u(x)) − x.

    Args:
      fixed: HU.
      moving: HU, on the same grid.
      cfg: of the field.
      affine: of the map.

    Returns:
      In voxels; the warped image is moving(x + field(x)).

    Raises:
      ValueError: as `align` and `register`.
      InputError: as `align`.
    """
    matrix = align(fixed, moving, affine)
    aligned = affine_transform(np.asarray(moving, np.float32), matrix, order=1, mode="nearest")
    voxels = np.indices(fixed.shape, np.float32)
    places = (voxels + register(fixed, aligned, cfg)).reshape(3, -1)
    moved = matrix[:3, :3] @ places + matrix[:3, 3:]
    return (moved.reshape(voxels.shape) - voxels).astype(np.float32)


def align(
    fixed: Real[np.ndarray, "d h w"],
    moving: Real[np.ndarray, "i j k"],
    cfg: AffineConfig = AffineConfig(),  # noqa: B008 - frozen
) -> Float[np.ndarray, "4 4"]:
    """Affine map A that brings the moving onto the fixed image: moving(A x) resembles fixed(x).

    Displacements are whole steps, so many blocks suit a map equally well, and which of them are
    heard moves it by a fraction of a voxel; DEEDS finds the rest.

    Args:
      fixed: HU.
      moving: HU, on the same grid.
      cfg: levels, and what is no tissue.

    Returns:
      Homogeneous matrix of places (z, y, x) in voxels.

    Raises:
      ValueError: images of different shape, or smaller than six blocks of a level.
      InputError: hardly anything but air.

    Source: linearBCV of deedsBCV.
    """
    check.same_shape(fixed=fixed, moving=moving)
    if min(fixed.shape) < LEAST_BLOCKS * max(cfg.grid):
        raise ValueError(
            f"images must have at least {LEAST_BLOCKS * max(cfg.grid)} voxels along each axis, "
            f"{LEAST_BLOCKS} blocks of grid={max(cfg.grid)}; got {fixed.shape}"
        )
    images = np.stack([fixed, moving]).astype(np.float32)
    matrix = np.eye(4)
    for level in cfg.levels():
        # Each image looks for its blocks in the other one, mapped onto it.
        warped = [
            affine_transform(image, way, order=1, mode="constant", cval=cfg.air_hu)
            for image, way in ((images[1], matrix), (images[0], np.linalg.inv(matrix)))
        ]
        found = of_config(_best_matches, level)(images, np.stack(warped))
        here, there = _trusted(level, cfg, *(np.asarray(array) for array in found))
        matrix = matrix @ _fitted(here, there, cfg.rounds)
    return matrix


def _best_matches(
    level: Level, targets: Float[Array, "2 d h w"], warped: Float[Array, "2 d h w"]
) -> tuple[Array, Array, Array]:
    """Least cost, displacement in voxels (2, …, 3) and mean of each block, in both directions."""

    def search(way: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        bits = lax.map(lambda image: descriptors(image, level.descriptor_step), jnp.stack(way))
        costs = block_costs(bits[0], bits[1], level)
        for axis in range(2, -1, -1):
            costs = _smoothed(costs, axis)
        labels = jnp.unravel_index(jnp.argmin(costs, axis=-1), (level.labels_per_axis,) * 3)
        offsets = level.step * (jnp.stack(labels, axis=-1) - level.radius)
        return jnp.min(costs, axis=-1), offsets, _block_means(way[0], level)

    return lax.map(search, (targets, warped))


def _smoothed(costs: Float[Array, "n0 n1 n2 l"], axis: int) -> Float[Array, "n0 n1 n2 l"]:
    """Add half of each neighbour; the one before has been smoothed already, as in the reference."""
    lines = jnp.moveaxis(costs, axis, 0)
    after = jnp.concatenate([lines[1:], lines[-1:]])

    def add(before: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        smoothed = pair[0] + (pair[1] + before) / 2
        return smoothed, smoothed

    return jnp.moveaxis(lax.scan(add, lines[0], (lines, after))[1], 0, axis)


def _block_means(image: Float[Array, "d h w"], level: Level) -> Float[Array, "n0 n1 n2"]:
    nodes = level.nodes(image.shape)
    whole = image[tuple(slice(n * level.grid) for n in nodes)]
    split = [part for n in nodes for part in (n, level.grid)]
    return whole.reshape(split).mean(axis=(1, 3, 5))


def _trusted(
    level: Level, cfg: AffineConfig, costs: np.ndarray, offsets: np.ndarray, means: np.ndarray
) -> tuple[Integer[np.ndarray, "n 3"], Integer[np.ndarray, "n 3"]]:
    """Places in the fixed image, and where they went: of tissue, and of the better half of it."""
    nodes = costs.shape[1:]
    index = np.moveaxis(np.indices(nodes), 0, -1)
    inner = np.all((index >= 2) & (index <= np.asarray(nodes) - 2), axis=-1)
    valid = inner & (means >= cfg.air_hu + 5)
    num_valid = int(valid.sum(axis=(1, 2, 3)).min())
    if num_valid < LEAST_MATCHES:
        raise InputError(
            f"only {num_valid} blocks of {level.grid} voxels hold anything but air",
            hint="the images must be in HU and show a patient",
        )
    centers = level.grid * index + (level.grid - 1) // 2
    ends = []
    for block, cost, offset in zip(valid, costs, offsets, strict=True):
        best = np.argsort(cost[block], kind="stable")[: block.sum() // 2]
        ends.append((centers[block][best], (centers + offset)[block][best]))
    # A block of the moving image tells of the same map from the other side.
    (here, there), (from_there, from_here) = ends
    return np.concatenate([here, from_here]), np.concatenate([there, from_there])


def _fitted(
    here: Real[np.ndarray, "n 3"], there: Real[np.ndarray, "n 3"], rounds: int
) -> Float[np.ndarray, "4 4"]:
    """Affine map by least squares, then of the half that it suits best (least trimmed squares)."""
    places = np.column_stack([here, np.ones(len(here))])
    half = np.arange(len(here))
    matrix = np.eye(4)
    for _ in range(rounds + 1):
        matrix[:3] = np.linalg.lstsq(places[half], there[half], rcond=None)[0].T
        errors = ((places @ matrix[:3].T - there) ** 2).sum(axis=1)
        half = np.argsort(errors, kind="stable")[: len(here) // 2]
    return matrix
