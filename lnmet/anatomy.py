"""Distance-guided attention: where lymph nodes can lie (Sec. III-A, Eqs. 1–2).

Each organ and vessel has a range of signed distances in which nodes are found; a map is 1 inside
the range and falls to 0 over 3 mm. Outside all organs the largest of the maps counts, inside an
organ its own.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Integer

from core.distance.edt import signed
from lnmet.config import ORGANS, TABLE_II, Range

RAMP_MM = 3.0
"""Over which attention falls from 1 to 0 (Eq. 1)."""


def attention(
    organs: Integer[Array, "d h w"],
    spacing_mm: Sequence[float],
    ranges: Sequence[Range] = tuple(TABLE_II.values()),
) -> Float[Array, "d h w"]:
    """A^all: attention of every voxel, in [0, 1] (Eq. 2).

    Organs are taken one after the other, so that ten need no more memory than one.

    Args:
      organs: ids 1 … k of organs and vessels, 0 elsewhere; the pancreas with its tumor. An organ
        that is absent adds nothing.
      spacing_mm: of the voxels by axis.
      ranges: of the k organs.
    """

    def add(highest: Array, organ: tuple[Array, ...]) -> tuple[Array, None]:
        id_, *limits = organ
        own = _map(organs == id_, spacing_mm, limits, _reach(ranges))
        outside = jnp.where(organs == 0, jnp.maximum(highest, own), highest)
        return jnp.where(organs == id_, own, outside), None

    start = jnp.zeros(organs.shape, jnp.float32)
    return lax.scan(add, start, _scanned(organs, ranges))[0]


def organ_attention(
    organs: Integer[Array, "d h w"],
    spacing_mm: Sequence[float],
    ranges: Sequence[Range] = tuple(TABLE_II.values()),
) -> Float[Array, "k d h w"]:
    """A^i: the attention map of each organ by itself (Eq. 1), 0 where the organ is absent.

    Args:
      organs: ids 1 … k of organs and vessels, 0 elsewhere.
      spacing_mm: of the voxels by axis.
      ranges: of the k organs.
    """
    return lax.map(
        lambda organ: _map(organs == organ[0], spacing_mm, organ[1:], _reach(ranges)),
        _scanned(organs, ranges),
    )


def trapezium(
    distance_mm: Float[Array, "*s"], min_mm: float | Array, max_mm: float | Array
) -> Float[Array, "*s"]:
    """f(d): 1 in [min, max], 0 from 3 mm beyond it, linear between (Eq. 1)."""
    below = (distance_mm - min_mm + RAMP_MM) / RAMP_MM
    above = (max_mm + RAMP_MM - distance_mm) / RAMP_MM
    return jnp.clip(jnp.minimum(below, above), 0.0, 1.0)


def fit_ranges(
    organs: Integer[Array, "d h w"],
    nodes: Bool[Array, "d h w"],
    spacing_mm: Sequence[float],
    num_organs: int = len(ORGANS),
) -> Float[np.ndarray, "k 2"]:
    """Smallest and largest distance of a case's node voxels to the organ that is nearest to them.

    The ranges of Table II are the extremes of these over the training cases.

    Args:
      organs: ids 1 … k of organs and vessels, 0 elsewhere.
      nodes: annotated lymph nodes.
      spacing_mm: of the voxels by axis.
      num_organs: k.

    Returns:
      min and max in mm for each organ; (inf, −inf) where no voxel has it as its nearest.
    """
    ids = jnp.arange(1, num_organs + 1, dtype=organs.dtype)

    def nearest(id_: Array, best: tuple[Array, Array]) -> tuple[Array, Array]:
        distance = signed(organs == id_, spacing_mm)
        closer = distance < best[0]
        return jnp.where(closer, distance, best[0]), jnp.where(closer, id_, best[1])

    start = jnp.full(organs.shape, jnp.inf, jnp.float32), jnp.zeros_like(organs)
    distance, organ = lax.fori_loop(0, num_organs, lambda i, best: nearest(ids[i], best), start)

    def extremes(id_: Array) -> Float[Array, "2"]:
        own = nodes & (organ == id_)
        lowest = jnp.min(jnp.where(own, distance, jnp.inf))
        return jnp.stack([lowest, jnp.max(jnp.where(own, distance, -jnp.inf))])

    return np.asarray(lax.map(extremes, ids))


def pool_ranges(
    of_cases: Sequence[Float[np.ndarray, "k 2"]], fallback: Sequence[Range] = ()
) -> list[Range]:
    """Ranges over several cases.

    Args:
      of_cases: of `fit_ranges`.
      fallback: for organs that no node of any case is nearest to; by default those of Table II.

    Raises:
      ValueError: no case.
    """
    if not of_cases:
        raise ValueError("of_cases must hold at least one case; got none")
    lowest = np.min([case[:, 0] for case in of_cases], axis=0)
    highest = np.max([case[:, 1] for case in of_cases], axis=0)
    others = fallback or tuple(TABLE_II.values())
    return [
        Range(float(low), float(high)) if low <= high else other
        for low, high, other in zip(lowest, highest, others, strict=True)
    ]


def _map(
    organ: Bool[Array, "d h w"], spacing_mm: Sequence[float], limits: Sequence[Array], reach: float
) -> Float[Array, "d h w"]:
    # Beyond the reach attention is 0 whatever the distance.
    return trapezium(signed(organ, spacing_mm, max_mm=reach), *limits)


def _reach(ranges: Sequence[Range]) -> float:
    """Distance from which no organ has any attention, inside or outside."""
    return max(max(abs(r.min_mm), abs(r.max_mm)) for r in ranges) + 2 * RAMP_MM


def _scanned(organs: jax.Array, ranges: Sequence[Range]) -> tuple[Array, Array, Array]:
    ids = jnp.arange(1, len(ranges) + 1, dtype=organs.dtype)
    limits = jnp.asarray(ranges, jnp.float32)
    return ids, limits[:, 0], limits[:, 1]
