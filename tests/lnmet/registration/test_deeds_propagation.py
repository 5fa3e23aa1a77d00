import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lnmet.registration.deeds_propagation import best_labels
from lnmet.registration.deeds_tree import Tree, _batches

RNG = np.random.default_rng(0)
LABELS = np.stack(np.unravel_index(np.arange(27), (3, 3, 3)), axis=1)
on_device = jax.jit(best_labels, static_argnums=3)


def tree_of(parent: list[int], similarity: np.ndarray) -> Tree:
    """Nodes in an order in which parents, whose number is smaller, come first."""
    depth = np.zeros(len(parent), int)
    for node in range(1, len(parent)):
        depth[node] = depth[parent[node]] + 1
    order = np.argsort(depth, kind="stable").astype(np.int32)
    parents = np.asarray(parent, np.int32)
    return Tree(*map(jnp.asarray, (order, parents, similarity, *_batches(order, parents))))


def energy(costs: np.ndarray, start: np.ndarray, tree: Tree, labels: np.ndarray) -> np.ndarray:
    """What belief propagation minimises, of many labelings (…, n) at once.

    A node's cost counts w of it and of all above it; its distance to the parent, w of all above.
    """
    total = np.zeros(labels.shape[:-1])
    weights = np.ones(len(costs))
    for node in np.asarray(tree.order):
        parent, own = int(tree.parent[node]), float(tree.similarity[node])
        weights[node] = own * weights[parent] if node != parent else 1.0
        total += weights[node] * costs[node][labels[..., node]]
        if node != parent:
            places = [LABELS[labels[..., n]] + start[:, n] for n in (parent, node)]
            total += weights[parent] * ((places[0] - places[1]) ** 2).sum(-1)
    return total


@pytest.mark.parametrize(
    "parent", [[0, 0, 1, 2], [0, 0, 0, 0], [0, 0, 1, 1]], ids=["chain", "star", "fork"]
)
def test_no_labels_of_all_have_less_energy(parent: list[int]):
    costs = RNG.uniform(0, 6, (4, 27)).astype(np.float32)
    start = RNG.normal(size=(3, 4)).astype(np.float32)
    tree = tree_of(parent, RNG.uniform(0.3, 1, 4).astype(np.float32))
    labels = np.asarray(on_device(costs, start, tree, 1))
    every = np.stack(np.meshgrid(*[np.arange(27)] * 4, indexing="ij"), axis=-1)
    energies = energy(costs, start, tree, every)
    assert tuple(labels) == np.unravel_index(energies.argmin(), energies.shape)


def test_many_batches_give_the_least_energy_of_a_recursion():
    parent = [0, *(int(RNG.integers(max(0, n - 40), n)) for n in range(1, 150))]
    costs = RNG.uniform(0, 20, (150, 27)).astype(np.float32)
    start = RNG.normal(size=(3, 150)).astype(np.float32)
    tree = tree_of(parent, RNG.uniform(0.3, 1, 150).astype(np.float32))
    labels = np.asarray(on_device(costs, start, tree, 1))
    least = np.asarray(costs, float)
    for node in range(149, 0, -1):
        offset = start[:, parent[node]] - start[:, node]
        apart = ((LABELS[:, None] - LABELS[None] + offset) ** 2).sum(-1)
        own = float(tree.similarity[node]) * least[node]
        least[parent[node]] += (own[None] + apart).min(axis=1)
    # 150 sums of float32 below 10³.
    assert energy(costs, start, tree, labels) == pytest.approx(least[0].min(), rel=1e-5)


def test_of_equal_labels_the_first_is_chosen():
    tree = tree_of([0, 0], np.ones(2, np.float32))
    labels = on_device(np.zeros((2, 27), np.float32), np.zeros((3, 2), np.float32), tree, 1)
    assert labels.tolist() == [0, 0]


def test_without_smoothness_to_speak_of_each_node_takes_its_cheapest():
    costs = RNG.permuted(np.tile(1e4 * np.arange(27, dtype=np.float32), (60, 1)), axis=1)
    tree = tree_of([0, *range(59)], np.ones(60, np.float32))
    labels = on_device(costs, np.zeros((3, 60), np.float32), tree, 1)
    np.testing.assert_array_equal(labels, costs.argmin(axis=1))
