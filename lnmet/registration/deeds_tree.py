"""Spanning trees of DEEDS: on them, smoothness binds a node to whom it resembles most.

Of all trees over the nodes and their six neighbours, the one whose edges are the most similar; so
an edge of an organ is crossed as rarely as possible, and organs may slide along each other.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float32, Int32
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from core.compiler import of_config

BATCH = 32
"""Nodes of one depth that are handled at a time; with 8 to 32 of them a CPU is as fast."""


class Tree(NamedTuple):
    """Nodes from the root to the leaves, and how they hang together.

    Args:
      order: all nodes, by their depth.
      parent: of each node; the root is its own.
      similarity: w of a node and its parent, in [0, 1]; 1 at the root.
      starts: where batches begin in `order`, all of one depth and none with more than `BATCH`
        nodes; as many entries as nodes, the first `num_batches` of which count.
      sizes: of the batches.
      num_batches: the first of which is the root alone.
    """

    order: Int32[Array, "n"]
    parent: Int32[Array, "n"]
    similarity: Float32[Array, "n"]
    starts: Int32[Array, "n"]
    sizes: Int32[Array, "n"]
    num_batches: Int32[Array, ""]


def spanning_tree(image: Float[np.ndarray, "d h w"], grid: int) -> Tree:
    """Tree of maximal similarity over the blocks of an image, hanging from the one in the middle.

    w = exp(−SAD / (2 σ)): SAD is the mean absolute difference of two neighbouring blocks, σ the
    standard deviation of the image. Ties fall to the edge that comes first, so that the tree is a
    function of the image; trees by Prim's algorithm differ from it in such edges alone.

    Args:
      image: of any unit.
      grid: side of a block in voxels.

    Source: Heinrich et al., IEEE TMI 2013; deedsBCV.
    """
    similarities = [np.asarray(s) for s in of_config(_edge_similarities, grid)(image)]
    nodes = tuple(size // grid for size in image.shape)
    index = np.arange(np.prod(nodes)).reshape(nodes)
    ends = [
        (np.delete(index, -1, axis).ravel(), np.delete(index, 0, axis).ravel()) for axis in range(3)
    ]
    first, second = (np.concatenate(side) for side in zip(*ends, strict=True))
    similarity = np.concatenate([s.ravel() for s in similarities])
    # Ranks from 1: in a sparse matrix an edge of weight 0 would be none.
    rank = np.empty(len(similarity))
    rank[np.argsort(-similarity, kind="stable")] = np.arange(1, len(similarity) + 1)
    edges = coo_array((rank, (first, second)), shape=(index.size, index.size))
    tree = minimum_spanning_tree(edges).tocoo()
    root = index[tuple(n // 2 for n in nodes)]
    order, parent = breadth_first_order(tree, root, directed=False)
    parent[root] = root
    child = np.where(parent[tree.coords[0]] == tree.coords[1], *tree.coords)
    of_node = np.ones(index.size, np.float32)
    of_node[child] = np.sort(similarity)[::-1][tree.data.astype(int) - 1]
    return Tree(*map(jnp.asarray, (order, parent, of_node, *_batches(order, parent))))


def _edge_similarities(grid: int, image: Float[Array, "d h w"]) -> list[Array]:
    """Similarity w of every node and the next one along each axis."""
    nodes = [size // grid for size in image.shape]
    blocks = image[tuple(slice(n * grid) for n in nodes)]
    scale = 2 * jnp.maximum(jnp.std(image), jnp.finfo(jnp.float32).tiny)
    similarities = []
    for axis, size in enumerate(blocks.shape):
        here = lax.slice_in_dim(blocks, 0, size - grid, axis=axis)
        next_ = lax.slice_in_dim(blocks, grid, size, axis=axis)
        difference = jnp.abs(here - next_)
        split = [part for n in difference.shape for part in (n // grid, grid)]
        sad = difference.reshape(split).mean(axis=(1, 3, 5))
        similarities.append(jnp.exp(-sad / scale))
    return similarities


def _batches(order: np.ndarray, parent: np.ndarray) -> tuple[np.ndarray, ...]:
    """Starts, sizes and number of batches of nodes of one depth, in `order`."""
    depth = np.zeros(len(order), int)
    for node in order[1:]:
        depth[node] = depth[parent[node]] + 1
    ends = np.cumsum(np.bincount(depth))
    batches = [
        (start, min(BATCH, last - start))
        for first, last in zip([0, *ends[:-1]], ends, strict=True)
        for start in range(first, last, BATCH)
    ]
    padded = np.zeros((2, len(order)), np.int32)
    padded[:, : len(batches)] = np.transpose(batches)
    return padded[0], padded[1], np.asarray(len(batches), np.int32)
