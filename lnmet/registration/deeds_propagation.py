"""Belief propagation on a tree: the labels of least cost over all nodes together, exactly.

A label is a displacement of a cube; smoothness asks for what a node and its parent are apart,
squared. Costs go from the leaves to the root, and choices from the root to the leaves.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from lnmet.registration.deeds_tree import BATCH, Tree


def best_labels(
    costs: Float[Array, "n l"], start: Float[Array, "3 n"], tree: Tree, radius: int
) -> Int[Array, "n"]:
    """Minimise Σ_p C_p(l_p), weighted along the tree, + Σ ‖(l_parent + s_parent) − (l + s)‖².

    A node's cost with all that hangs from it is multiplied by the similarity w of it and its
    parent, then minimised over its labels for each label of the parent. Nothing but the costs is
    kept: which label was the best is found again on the way down, for the one label chosen above.

    Args:
      costs: C of each label of a cube of (2·radius + 1)³, the last axis fastest.
      start: s, the displacement of each node before, in steps between labels.
      tree: the nodes, from the root to the leaves.
      radius: of the cube of labels.

    Returns:
      The label of each node, from 0; of equal ones the first.

    Source: Felzenszwalb & Huttenlocher 2005; Heinrich et al., IEEE TMI 2013; deedsBCV.
    """
    cube = (2 * radius + 1,) * 3

    def collect(i: Array, costs: Array) -> Array:
        batch = _batch(tree, tree.num_batches - 1 - i, start)
        weighted = costs[batch.nodes] * batch.similarity[:, None]
        message = _message(weighted.reshape(-1, *cube), batch.offsets).reshape(weighted.shape)
        message -= message.min(axis=1, keepdims=True)
        parents = jnp.where(batch.is_node, batch.parents, len(costs))
        return costs.at[parents].add(message, mode="drop")

    def choose(i: Array, labels: Array) -> Array:
        batch = _batch(tree, i, start)
        weighted = (costs[batch.nodes] * batch.similarity[:, None]).reshape(-1, *cube)
        above = jnp.stack(jnp.unravel_index(labels[batch.parents], cube), axis=1) + batch.offsets
        total = _smoothed(weighted, above).reshape(-1, costs.shape[1])
        nodes = jnp.where(batch.is_node, batch.nodes, len(labels))
        return labels.at[nodes].set(jnp.argmin(total, axis=1), mode="drop")

    # The first batch is the root.
    costs = lax.fori_loop(0, tree.num_batches - 1, collect, costs)
    root = tree.order[0]
    labels = jnp.zeros(len(costs), jnp.int32).at[root].set(jnp.argmin(costs[root]))
    return lax.fori_loop(1, tree.num_batches, choose, labels)


class _Batch(NamedTuple):
    """Nodes of one depth; a batch that is not full repeats some that are not its own."""

    nodes: Int[Array, "b"]
    parents: Int[Array, "b"]
    is_node: Bool[Array, "b"]
    similarity: Float[Array, "b"]
    offsets: Float[Array, "b 3"]


def _batch(tree: Tree, index: Array, start: Float[Array, "3 n"]) -> _Batch:
    position = jnp.arange(BATCH)
    nodes = tree.order[jnp.minimum(tree.starts[index] + position, len(tree.order) - 1)]
    parents = tree.parent[nodes]
    offsets = (start[:, parents] - start[:, nodes]).T
    is_node = position < tree.sizes[index]
    return _Batch(nodes, parents, is_node, tree.similarity[nodes], offsets)


def _message(
    costs: Float[Array, "b l0 l1 l2"], offsets: Float[Array, "b 3"]
) -> Float[Array, "b l0 l1 l2"]:
    """Least of C(l) + ‖l_parent − l + o‖² over l, one axis after the other."""
    for axis in (2, 1, 0):
        label = jnp.arange(costs.shape[axis + 1])
        apart = label[None, :, None] - label[None, None, :] + offsets[:, axis, None, None]
        # (b, …, label of the parent, own label, …), which XLA never stores.
        apart = jnp.expand_dims(apart, [*range(1, axis + 1), *range(axis + 3, 5)])
        costs = jnp.min(jnp.expand_dims(costs, axis + 1) + apart**2, axis=axis + 2)
    return costs


def _smoothed(
    costs: Float[Array, "b l0 l1 l2"], above: Float[Array, "b 3"]
) -> Float[Array, "b l0 l1 l2"]:
    """C(l) + ‖above − l‖², added up in the same order as in `_message`."""
    for axis in (2, 1, 0):
        apart = above[:, axis, None] - jnp.arange(costs.shape[axis + 1])[None]
        costs += jnp.expand_dims(apart**2, [a for a in (1, 2, 3) if a != axis + 1])
    return costs
