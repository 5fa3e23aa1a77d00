"""Short axis of a node and the organ it lies at."""

import numpy as np
import pytest

from core.volume import CANONICAL_DIRECTION, Volume
from lnmet.config import ORGANS
from lnmet.node_measures import nearest_organs, short_axis_mm

SPACING = (2.0, 0.5, 0.5)


def ellipse(a_mm: float, b_mm: float, degrees: float) -> np.ndarray:
    """Half axes a > b, turned in the slice."""
    y, x = (np.mgrid[:81, :81] - 40) * SPACING[1]
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return ((c * x + s * y) / a_mm) ** 2 + ((c * y - s * x) / b_mm) ** 2 <= 1


@pytest.mark.parametrize("degrees", [0, 30, 77])
def test_the_short_axis_of_an_ellipse_is_twice_its_small_half_axis(degrees):
    mask = ellipse(12, 6, degrees)[None]
    # Each end falls between voxels of half a millimeter.
    assert short_axis_mm(mask, SPACING) == pytest.approx(2 * 6, abs=1.0)


def test_the_slice_with_the_largest_area_counts():
    mask = np.stack([ellipse(15, 2, 0), ellipse(9, 8, 0), ellipse(15, 3, 0)])
    assert short_axis_mm(mask, SPACING) == pytest.approx(2 * 8, abs=1.0)


def test_a_single_voxel_is_as_wide_as_itself():
    assert short_axis_mm(np.ones((1, 1, 1), bool), SPACING) == 0.5


def test_a_row_of_voxels_is_as_wide_as_one():
    assert short_axis_mm(np.ones((1, 1, 7), bool), SPACING) == 0.5


AORTA, SPLEEN = ORGANS.index("aorta") + 1, ORGANS.index("spleen") + 1


def grid(organs: np.ndarray) -> Volume:
    return Volume(organs, (2.0, 1.0, 1.0), (10.0, 20.0, 30.0), CANONICAL_DIRECTION)


def test_the_nearest_organ_is_told_with_its_distance():
    organs = np.zeros((10, 20, 30), np.uint8)
    organs[5, 3:8, 4:9] = AORTA
    organs[5, 3:8, 20:29] = SPLEEN
    points = grid(organs)
    # (x, y, z) of the voxels (5, 5, 11), (8, 5, 15) and (5, 5, 6).
    centers = np.array([[10 + 11, 20 + 5, 30 + 10], [10 + 15, 25, 46], [16, 25, 40]], float)
    near, between, inside = nearest_organs(centers, organs, points)
    assert near == ("aorta", 3.0)
    assert between.organ == "spleen"
    assert between.distance_mm == pytest.approx(np.hypot(5, 6))
    assert inside.organ == "aorta"


def test_inside_an_organ_the_distance_to_its_own_surface_is_negative():
    organs = np.zeros((11, 21, 21), np.uint8)
    organs[1:10, 2:19, 2:19] = SPLEEN
    organs[5, 10, 19] = AORTA
    ((organ, distance),) = nearest_organs(np.array([[20.0, 30.0, 40.0]]), organs, grid(organs))
    # Voxel (5, 10, 10): 8 mm to its last own voxel along either axis of the slice.
    assert (organ, distance) == ("spleen", -8.0)


def test_without_organs_none_is_near():
    organs = np.zeros((4, 4, 4), np.uint8)
    assert nearest_organs(np.zeros((1, 3)), organs, grid(organs)) is None
