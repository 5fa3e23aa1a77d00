import numpy as np
import pytest

from core.phantom.ct.shapes import (
    Points,
    above,
    column,
    ellipsoid,
    intersection,
    lattice,
    minus,
    rough,
    shell,
    tube,
    union,
)

AXIS = np.arange(-20, 20.5, 0.5, dtype=np.float32)
Z, Y, X = np.meshgrid(AXIS, AXIS, AXIS, indexing="ij")
POINTS = Points(X, Y, Z, (AXIS, AXIS, AXIS), 0.0)
VOXEL_MM3 = 0.5**3
CAP_MM3 = np.pi * (
    2 / 3 * 9**3 - 81 * 0.25 + 0.25**3 / 3
)  # of a ball of 9 mm, 0.25 mm off its middle


def volume_mm3(solid) -> float:
    return float((solid.distance(POINTS) < 0).sum()) * VOXEL_MM3


@pytest.mark.parametrize(
    ("solid", "expected_mm3"),
    [
        (ellipsoid((1, 2, 3), (8, 10, 12)), 4 / 3 * np.pi * 8 * 10 * 12),
        (column((1, 2), (7, 9), (-6.25, 9.75)), np.pi * 7 * 9 * 16),
        (tube([(-8, 0, 0), (8, 0, 0)], 5.0), np.pi * 25 * 16 + 4 / 3 * np.pi * 125),
        (tube([(0, 0, 0)] * 2, 5.0, squash=(1, 1, 2)), 4 / 3 * np.pi * 125 * 2),
        (shell(ellipsoid((0, 0, 0), (9, 9, 9)), 3.0), 4 / 3 * np.pi * 12**3),
        (
            minus(ellipsoid((0, 0, 0), (9, 9, 9)), ellipsoid((0, 0, 0), (6, 6, 6))),
            4 / 3 * np.pi * (9**3 - 6**3),
        ),
        (intersection(ellipsoid((0, 0, 0), (9, 9, 9)), above(0.25)), CAP_MM3),
        (
            intersection(ellipsoid((0, 0, 0), (9, 9, 9)), above(-0.25, axis=1, sign=-1)),
            CAP_MM3,
        ),
    ],
)
def test_a_solid_has_the_volume_of_its_formula(solid, expected_mm3):
    # A voxel edge is a twentieth of the sizes here: counting voxels is right to about 3 %.
    assert volume_mm3(solid) == pytest.approx(expected_mm3, rel=0.03)


def test_the_distance_to_a_ball_is_exact():
    distance = ellipsoid((0, 0, 0), (9, 9, 9)).distance(POINTS)
    np.testing.assert_allclose(distance, np.sqrt(X**2 + Y**2 + Z**2) - 9, atol=1e-3)


def test_a_tube_is_exact_near_its_surface():
    solid = tube([(-8, 0, 0), (0, 0, 0), (8, 0, 0)], [4.0, 5.0, 6.0])
    middle = np.abs(X) < 6
    radius = 5 + X / 8
    expected = np.hypot(Y, Z) - radius
    near = middle & (np.abs(expected) < 5)
    # Where the radius grows, the next cone's end is nearer by up to the growth per millimetre.
    np.testing.assert_allclose(solid.distance(POINTS)[near], expected[near], atol=1 / 8)


def test_every_solid_lies_in_its_box():
    solid = union(
        tube([(-8, 0, 3), (8, 5, 0)], [2.0, 4.0]),
        rough(
            ellipsoid((2, 2, 2), (6, 5, 4)),
            lattice(np.random.default_rng(0), (-10,) * 3, (10,) * 3, 4.0),
            1.0,
        ),
        blend_mm=4.0,
    )
    inside = solid.distance(POINTS) < 0
    for axis, (low, high) in zip((X, Y, Z), zip(solid.low, solid.high, strict=True), strict=True):
        assert low <= axis[inside].min()
        assert axis[inside].max() <= high


def test_a_crop_sees_the_same_distances():
    solid = tube([(-8, 0, 3), (8, 5, 0)], [2.0, 4.0])
    index, near = POINTS.within(solid.low, solid.high)
    np.testing.assert_array_equal(solid.distance(near), solid.distance(POINTS)[index])


def test_a_bend_widens_the_crop():
    bent = POINTS._replace(slack_mm=3.0)
    index, near = bent.within((-5, -5, -5), (5, 5, 5))
    assert near.x.min() == -8
    assert near.x.max() == 8
    assert near.x.shape == X[index].shape


def test_a_fillet_only_adds():
    balls = [ellipsoid((x, 0, 0), (6, 6, 6)) for x in (-5, 5)]
    sharp, soft = union(*balls), union(*balls, blend_mm=4.0)
    assert volume_mm3(soft) > volume_mm3(sharp)
    assert not ((sharp.distance(POINTS) < 0) & (soft.distance(POINTS) >= 0)).any()


def test_a_random_field_is_standard_and_the_same_on_every_grid():
    field = lattice(np.random.default_rng(0), (-20,) * 3, (20,) * 3, 2.0)
    values = field(POINTS)
    # 20^3 independent cells: mean and deviation are right to about 1 / sqrt(8000) times a few.
    assert values.mean() == pytest.approx(0, abs=0.05)
    assert values.std() == pytest.approx(1, abs=0.05)
    index, near = POINTS.within((-5, -3, -1), (6, 7, 8))
    np.testing.assert_allclose(field(near), values[index], atol=1e-5)
