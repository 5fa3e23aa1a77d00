import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.volume import (
    CANONICAL_DIRECTION,
    LUMA,
    Frame,
    Volume,
    canonical,
    from_affine_lps,
    orientation,
    reorient,
    same_grid,
)

ARRAY = np.arange(24).reshape(2, 3, 4)


def rotation(axis, angle_rad):
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle_rad) * k + (1 - np.cos(angle_rad)) * k @ k


@st.composite
def directions(draw):
    """Axes in any order and sense, turned by less than half of a right angle."""
    axes = np.eye(3)[draw(st.permutations(range(3)))].T
    signs = [draw(st.sampled_from((-1, 1))) for _ in range(3)]
    axis = [draw(st.floats(-1, 1)) for _ in range(3)]
    turned = rotation([*axis[:2], 2 + axis[2]], draw(st.floats(-0.3, 0.3)))
    return turned @ axes * signs


@st.composite
def volumes(draw):
    spacing = tuple(draw(st.floats(0.3, 6)) for _ in range(3))
    origin = tuple(draw(st.floats(-500, 500)) for _ in range(3))
    return Volume(ARRAY, spacing, origin, draw(directions()))


def positions(volume):
    """Value of every voxel to its point in the patient."""
    index = np.indices(volume.shape).reshape(3, -1)
    points = (volume.affine_lps[:3, :3] @ index).T + volume.affine_lps[:3, 3]
    return dict(zip(volume.array.ravel().tolist(), points, strict=True))


@settings(deadline=None)
@given(volumes(), directions())
def test_reorient_moves_no_voxel_in_the_patient(volume, direction):
    before, after = positions(volume), positions(reorient(volume, direction))
    for value, point in before.items():
        np.testing.assert_allclose(after[value], point, atol=1e-9)


@settings(deadline=None)
@given(volumes(), directions())
def test_reorient_back_is_the_identity(volume, direction):
    back = reorient(reorient(volume, direction), volume.direction)
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.affine_lps, volume.affine_lps, atol=1e-9)


@settings(deadline=None)
@given(volumes())
def test_canonical_runs_to_head_back_and_left(volume):
    result = canonical(volume)
    assert orientation(result) == "SPL"
    assert np.linalg.det(result.direction[:, ::-1]) == pytest.approx(1)
    np.testing.assert_array_equal(canonical(result).array, result.array)
    assert result.voxel_mm3 == pytest.approx(np.prod(volume.spacing_mm))


def test_letters_name_where_the_axes_point():
    flipped = Volume(ARRAY, (1, 1, 1), (0, 0, 0), CANONICAL_DIRECTION * [-1, 1, -1])
    assert orientation(flipped) == "IPR"


def test_an_affine_and_its_volume_are_two_forms_of_one_thing():
    affine = np.array([[0, 0, 2, 5], [0, 3, 0, 6], [4, 0, 0, 7], [0, 0, 0, 1.0]])
    volume = from_affine_lps(ARRAY, affine)
    assert volume.spacing_mm == (4, 3, 2)
    assert volume.origin_mm == (5, 6, 7)
    assert volume.shape == ARRAY.shape
    np.testing.assert_array_equal(volume.affine_lps, affine)


def test_a_sheared_voxel_has_its_true_volume():
    direction = CANONICAL_DIRECTION.copy()
    direction[:, 0] = 0, np.sin(0.3), np.cos(0.3)
    volume = Volume(ARRAY, (2, 3, 5), (0, 0, 0), direction)
    assert volume.voxel_mm3 == pytest.approx(2 * 3 * 5 * np.cos(0.3))


def test_same_grid_allows_half_a_voxel_at_every_corner():
    volume = Volume(ARRAY, (2, 1, 1), (0, 0, 0), CANONICAL_DIRECTION)
    near = Volume(ARRAY, (2, 1, 1), (0.4, 0, 0), CANONICAL_DIRECTION)
    far = Volume(ARRAY, (2, 1, 1), (0.6, 0, 0), CANONICAL_DIRECTION)
    flipped = Volume(ARRAY, (2, 1, 1), (0, 0, 0), CANONICAL_DIRECTION * [1, 1, -1])
    other = Volume(ARRAY[:, :2], (2, 1, 1), (0, 0, 0), CANONICAL_DIRECTION)
    assert [same_grid(volume, v) for v in (volume, near, far, flipped, other)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert same_grid(volume, far, tolerance_voxels=0.7)


def test_with_array_keeps_the_place():
    volume = Volume(ARRAY, (2, 1, 1), (1, 2, 3), CANONICAL_DIRECTION)
    mask = volume.with_array(ARRAY > 3)
    assert (mask.origin_mm, mask.array.dtype) == ((1, 2, 3), np.bool_)
    with pytest.raises(ValueError, match=r"array \(2, 3\) does not fit the grid \(2, 3, 4\)"):
        volume.with_array(ARRAY[..., 0])


@pytest.mark.parametrize(
    ("array", "spacing_mm", "direction", "message"),
    [
        (ARRAY[0], (1, 1, 1), np.eye(3), r"3 axes \(D, H, W\); got shape \(3, 4\)"),
        (ARRAY, (1, 0, 1), np.eye(3), "spacing_mm must be positive"),
        (ARRAY, (1, 1, 1), np.ones((3, 3)), "direction must be invertible"),
    ],
)
def test_what_is_no_volume_is_refused(array, spacing_mm, direction, message):
    with pytest.raises(ValueError, match=message):
        Volume(array, spacing_mm, (0, 0, 0), direction)


@pytest.mark.parametrize("value", [0, np.nan])
def test_an_affine_without_three_axes_is_refused(value):
    affine = np.eye(4)
    affine[:, 1] = value
    with pytest.raises(ValueError, match="zero or non-finite axis"):
        from_affine_lps(ARRAY, affine)


def test_a_frame_is_gray_or_rgb_and_knows_its_size():
    gray = np.arange(6, dtype=np.uint8).reshape(2, 3)
    frame = Frame(gray)
    assert (frame.shape, frame.spacing_mm, frame.time_s) == ((2, 3), None, None)
    assert frame.gray() is gray
    np.testing.assert_array_equal(Frame(np.stack([gray] * 3, -1)).gray(), gray)


def test_brightness_is_the_luma_of_the_colors():
    colors = np.eye(3, dtype=np.uint8)[None] * np.uint8(255)
    np.testing.assert_array_equal(Frame(colors).gray()[0], np.rint(255 * np.array(LUMA)))


@pytest.mark.parametrize(
    ("array", "spacing", "message"),
    [
        (np.zeros((2, 2), np.uint16), None, "a frame has uint8 pixels; got uint16"),
        (np.zeros((2, 2, 4), np.uint8), None, r"\(H, W\) or \(H, W, 3\); got shape \(2, 2, 4\)"),
        (np.zeros(2, np.uint8), None, r"got shape \(2,\)"),
        (np.zeros((2, 2), np.uint8), (0.0, 1.0), "spacing_mm must be positive"),
    ],
)
def test_what_is_no_frame_is_refused(array, spacing, message):
    with pytest.raises(ValueError, match=message):
        Frame(array, spacing)
