"""Lymph nodes as objects."""

import numpy as np
import pytest

from core.volume import CANONICAL_DIRECTION, Volume
from lnmet.labels import METASTATIC, NODE
from lnmet.nodes import annotated, annotated_nodes, find_nodes, node_at

GRID = Volume(
    np.zeros((8, 10, 12), np.uint8), (2.0, 1.0, 1.0), (10.0, 20.0, 30.0), CANONICAL_DIRECTION
)


def probability() -> np.ndarray:
    values = np.zeros(GRID.shape, np.float32)
    values[1:3, 1:3, 1:3] = 0.9
    values[3, 3, 3] = 0.6  # touches by a corner
    values[6, 7, 8] = 0.8
    return values


def test_voxels_that_touch_by_a_corner_are_one_node():
    ids, nodes = find_nodes(probability(), GRID, threshold=0.5, min_mm3=0)
    assert np.count_nonzero(ids) == 10
    assert [node.volume_mm3 for node in nodes] == [18.0, 2.0]
    assert nodes[0].score == pytest.approx((8 * 0.9 + 0.6) / 9)


def test_centers_are_points_of_the_patient():
    _, nodes = find_nodes(probability(), GRID, threshold=0.7, min_mm3=0)
    # Canonical axes: (d, h, w) run along z, y and x.
    assert nodes[1].center_mm == pytest.approx((10 + 8, 20 + 7, 30 + 2 * 6))
    assert nodes[0].center_mm == pytest.approx((11.5, 21.5, 33.0))


def test_what_is_smaller_than_a_node_is_dropped():
    ids, nodes = find_nodes(probability(), GRID, threshold=0.5, min_mm3=2.5)
    assert [node.id for node in nodes] == [1]
    assert not ids[6, 7, 8]


def test_without_a_voxel_there_is_no_node():
    ids, nodes = find_nodes(np.zeros(GRID.shape, np.float32), GRID, threshold=0.5, min_mm3=0)
    assert not ids.any()
    assert nodes == []


def test_annotated_nodes_are_told_apart_by_their_kind():
    label = np.zeros((8, 10, 12), np.uint8)
    label[1:4, 1:4, 1:4] = NODE
    label[3, 4, 4] = METASTATIC  # touches it by a corner
    label[6, 7, 2:8] = METASTATIC
    nodes = annotated_nodes(label)
    # The middle of six voxels is one of the two beside it.
    assert nodes.tolist() == [[0, 2, 2, 2, 27], [1, 3, 4, 4, 1], [1, 6, 7, 4, 6]]
    ids, is_metastatic = annotated(label)
    assert is_metastatic.tolist() == [False, True, True]
    assert [int(ids[tuple(row[1:4])]) for row in nodes] == [1, 2, 3]


def test_the_voxel_of_a_bent_node_is_its_own():
    label = np.zeros((3, 9, 9), np.uint8)
    label[1, 1:8, 1] = label[1, 7, 1:8] = NODE
    ((_, *voxel, size),) = annotated_nodes(label)
    assert label[tuple(voxel)] == NODE
    assert size == 13


def test_without_an_annotated_node_there_is_none():
    assert annotated_nodes(np.zeros((4, 4, 4), np.uint8)).shape == (0, 5)


def test_the_component_of_a_voxel_is_one_of_several():
    mask = np.zeros((4, 4, 8), bool)
    mask[1, 1, 1:3] = mask[1, 1, 5] = True
    np.testing.assert_array_equal(np.argwhere(node_at(mask, (1, 1, 2))), [[1, 1, 1], [1, 1, 2]])
    with pytest.raises(ValueError, match=r"voxel \(0, 0, 0\) is not in the mask"):
        node_at(mask, (0, 0, 0))
