import numpy as np
import pytest

from lnmet.registration import deeds_tree
from lnmet.registration.deeds_tree import Tree, spanning_tree

GRID = 3


def image_of(seed: int, shape: tuple[int, ...] = (13, 14, 17)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def similarity(image: np.ndarray, a: tuple[int, ...], b: tuple[int, ...]) -> float:
    """exp(−SAD / (2 σ)) of two blocks."""
    first, second = (
        image[tuple(slice(GRID * n, GRID * (n + 1)) for n in node)].astype(float) for node in (a, b)
    )
    return float(np.exp(-np.abs(first - second).mean() / (2 * image.std())))


def prim(image: np.ndarray) -> dict[tuple[int, ...], tuple[tuple[int, ...], float]]:
    """Parent and similarity of each node, grown from the middle by the most similar edge."""
    nodes = tuple(size // GRID for size in image.shape)
    root = tuple(n // 2 for n in nodes)
    inside, parents = {root}, {}
    steps = [*np.eye(3, dtype=int), *-np.eye(3, dtype=int)]
    while len(inside) < np.prod(nodes):
        edges = [
            (similarity(image, node, to), node, to)
            for node in inside
            for to in (tuple(int(i) for i in np.add(node, step)) for step in steps)
            if to not in inside and all(0 <= t < n for t, n in zip(to, nodes, strict=True))
        ]
        best, node, to = max(edges)
        inside.add(to)
        parents[to] = node, best
    return parents


def test_tree_is_that_of_prims_algorithm():
    image = image_of(0, (9, 10, 11))
    nodes = (3, 3, 3)
    tree, expected = spanning_tree(image, GRID), prim(image)
    parents = [tuple(map(int, np.unravel_index(p, nodes))) for p in tree.parent]
    for i, node in enumerate(np.ndindex(*nodes)):
        if node != (1, 1, 1):
            assert parents[i] == expected[node][0]
            # Means of 27 differences in float32.
            assert tree.similarity[i] == pytest.approx(expected[node][1], rel=1e-6)
    assert parents[13] == (1, 1, 1)
    assert tree.similarity[13] == 1


def test_batches_hold_each_node_once_and_after_its_parent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(deeds_tree, "BATCH", 4)
    tree = Tree(*map(np.asarray, spanning_tree(image_of(1), GRID)))
    batches = [
        set(tree.order[start : start + size].tolist())
        for start, size in zip(tree.starts, tree.sizes, strict=True)
    ][: int(tree.num_batches)]
    assert batches[0] == {int(tree.order[0])}
    assert sorted(node for batch in batches for node in batch) == list(range(4 * 4 * 5))
    assert max(map(len, batches)) == 4
    before = set(batches[0])
    for batch in batches[1:]:
        assert {int(tree.parent[node]) for node in batch} <= before
        before |= batch


def test_a_constant_image_has_a_tree():
    tree = spanning_tree(np.full((6, 7, 8), -1000, np.float32), GRID)
    assert np.all(np.asarray(tree.similarity) == 1)
    assert sorted(np.asarray(tree.order).tolist()) == list(range(2 * 2 * 2))


def test_the_tree_crosses_an_edge_of_an_organ_once():
    image = np.zeros((12, 12, 12), np.float32)
    image[:, :, 6:] = 100
    image += image_of(2, image.shape)
    tree = spanning_tree(image, GRID)
    right = np.indices((4, 4, 4))[2].ravel() >= 2
    assert np.sum(right != right[np.asarray(tree.parent)]) == 1
