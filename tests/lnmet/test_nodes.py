"""Lymph nodes as objects."""

import numpy as np
import pytest

from core.volume import CANONICAL_DIRECTION, Volume
from lnmet.nodes import find_nodes

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
    mask, nodes = find_nodes(probability(), GRID, threshold=0.5, min_mm3=0)
    assert mask.sum() == 10
    assert [node.volume_mm3 for node in nodes] == [18.0, 2.0]
    assert nodes[0].score == pytest.approx((8 * 0.9 + 0.6) / 9)


def test_centers_are_points_of_the_patient():
    _, nodes = find_nodes(probability(), GRID, threshold=0.7, min_mm3=0)
    # Canonical axes: (d, h, w) run along z, y and x.
    assert nodes[1].center_mm == pytest.approx((10 + 8, 20 + 7, 30 + 2 * 6))
    assert nodes[0].center_mm == pytest.approx((11.5, 21.5, 33.0))


def test_what_is_smaller_than_a_node_is_dropped():
    mask, nodes = find_nodes(probability(), GRID, threshold=0.5, min_mm3=2.5)
    assert [node.id for node in nodes] == [1]
    assert not mask[6, 7, 8]


def test_without_a_voxel_there_is_no_node():
    mask, nodes = find_nodes(np.zeros(GRID.shape, np.float32), GRID, threshold=0.5, min_mm3=0)
    assert not mask.any()
    assert nodes == []
