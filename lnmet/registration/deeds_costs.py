"""Data costs of DEEDS: how ill every displacement of a set suits every block of voxels."""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, UInt32

from lnmet.registration.deeds_config import Level

SLAB_BYTES = 2**28
"""Costs are computed label by label and needed node by node: so many at a time are turned round."""


def block_costs(
    target: UInt32[Array, "2 d h w"],
    warped: UInt32[Array, "2 d h w"],
    level: Level,
) -> Float[Array, "n0 n1 n2 l"]:
    """C_p(d) = g / (2 α q n) Σ popcount(F(x) ⊕ W(x + d)) over n voxels x of the block of node p.

    The costs take 4 bytes per node and displacement: 3 GB for 300 × 512 × 512 voxels, and
    `SLAB_BYTES` while they are computed.

    Args:
      target: descriptors F of the image whose blocks are the nodes.
      warped: descriptors W of the image that is searched; beyond its border they go on unchanged.
      level: blocks of side g, displacements q·{−L … L}³, the voxels compared, and α.

    Returns:
      Of each node by displacement; l = (2L + 1)³ of them, the last axis fastest.
    """
    nodes, labels = level.nodes(target.shape[1:]), level.labels_per_axis
    reach = level.radius * level.step
    padded = jnp.pad(warped, ((0, 0), *((reach, reach),) * 3), mode="edge")
    plane_bytes = 4 * nodes[1] * nodes[2] * labels**3
    planes = min(nodes[0], max(1, SLAB_BYTES // plane_bytes))
    # The last slab may begin within the one before it.
    starts = jnp.asarray(np.minimum(np.arange(0, nodes[0], planes), nodes[0] - planes))

    def add_slab(i: Array, costs: Array) -> Array:
        distances = _slab(target, padded, level, (planes, *nodes[1:]), starts[i])
        slab = jnp.moveaxis(distances.reshape(labels**3, planes, *nodes[1:]), 0, -1)
        return lax.dynamic_update_slice_in_dim(costs, slab * scale, starts[i], 0)

    scale = jnp.float32(level.grid / (2 * level.alpha * level.step * _num_samples(level)))
    return lax.fori_loop(0, len(starts), add_slab, jnp.zeros((*nodes, labels**3), jnp.float32))


def _slab(
    target: UInt32[Array, "2 d h w"],
    padded: UInt32[Array, "2 dp hp wp"],
    level: Level,
    nodes: tuple[int, ...],
    start: Int[Array, ""],
) -> Float[Array, "l0l1 l2 n0 n1 n2"]:
    """Summed Hamming distances of some planes of nodes, beginning with plane `start`."""
    labels, step, width = level.labels_per_axis, level.step, nodes[2] * level.grid
    rows = [_sampled_rows(num, level) for num in nodes[:2]]
    rows[0] = rows[0] + start * level.grid
    own = _samples(target[..., :width], rows)

    def of_plane(label: Array) -> Array:
        shifts = (label // labels * step, label % labels * step)
        other = _samples(padded, [row + shift for row, shift in zip(rows, shifts, strict=True)])

        def of_line(last: Array) -> Array:
            shifted = lax.dynamic_slice_in_dim(other, last * step, width, axis=-1)
            differing = lax.population_count(own ^ shifted).sum(axis=0)
            return differing.reshape(*nodes, level.grid).sum(axis=-1).astype(jnp.float32)

        return lax.map(of_line, jnp.arange(labels))

    return lax.map(of_plane, jnp.arange(labels**2))


def _samples(
    bits: UInt32[Array, "2 d h w"], rows: list[Int[Array, "_ _"]]
) -> UInt32[Array, "k n0 n1 w"]:
    """Lines of voxels that are compared: of each node k, both words counted, in one axis.

    XLA's sums over one leading axis are four times as fast on CPU as those over three.
    """
    taken = jnp.moveaxis(bits[:, rows[0]][:, :, :, rows[1]], 3, 2)
    return taken.reshape(-1, *taken.shape[3:])


def _sampled_rows(num_nodes: int, level: Level) -> Int[Array, "k n"]:
    """Coordinates along an axis, of k samples in each of n blocks."""
    samples = np.arange(0, level.grid, level.sample_stride)
    return jnp.asarray(samples[:, None] + level.grid * np.arange(num_nodes)[None])


def _num_samples(level: Level) -> int:
    """Voxels of a block that are compared."""
    return len(range(0, level.grid, level.sample_stride)) ** 2 * level.grid
