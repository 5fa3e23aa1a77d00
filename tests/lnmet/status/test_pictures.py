"""Slices with the largest tumor area, and pictures whose voxels tell where they come from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnmet.status.config import KEPT_SLICES
from lnmet.status.pictures import (
    CENTER,
    PLANES,
    Scan,
    Tumor,
    box,
    centroid,
    from_arrays,
    largest_slices,
    picture,
    to_arrays,
    tumor_of,
)

SHAPE = (12, 30, 40)
OUTSIDE = -100


def coordinates(shape=SHAPE) -> np.ndarray:
    """An image whose channels are the indices of each voxel."""
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).astype(np.int16)


def seen(mask: np.ndarray) -> Tumor:
    tumor = tumor_of(coordinates(mask.shape), mask)
    assert tumor is not None
    return tumor


@pytest.fixture
def steps() -> np.ndarray:
    """Square slabs of the sides 2, 6, 4, 8 at d = 3 … 6, all from row 10 and column 20 on."""
    mask = np.zeros(SHAPE, bool)
    for d, side in zip(range(3, 7), (2, 6, 4, 8), strict=True):
        mask[d, 10 : 10 + side, 20 : 20 + side] = True
    return mask


def test_slices_are_those_with_the_largest_area(steps):
    # Axial areas are 4, 36, 16 and 64. A coronal slice at h shows the slabs that reach it, each
    # with its side: 20, 20, 18, 18, 14, … of h = 10, 11, 12, 13, 14, and so do sagittal ones.
    assert largest_slices(steps, 0) == [6, 4, 5]
    assert largest_slices(steps, 1) == [10, 11, 12]
    assert largest_slices(steps, 2) == [20, 21, 22]


@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_no_other_slice_has_a_larger_area(seed, axis):
    mask = np.random.default_rng(seed).random((5, 6, 7)) < 0.3
    chosen = largest_slices(mask, axis)
    areas = [int(mask.take(i, axis).sum()) for i in range(mask.shape[axis])]
    assert len(set(chosen)) == len(chosen) == min(KEPT_SLICES, np.count_nonzero(areas))
    taken = [areas[i] for i in chosen]
    assert taken == sorted(areas, reverse=True)[: len(taken)]


def test_of_equal_areas_the_first_slices_are_taken():
    mask = np.zeros(SHAPE, bool)
    mask[2:9, 4:8, 5:9] = True
    assert [largest_slices(mask, axis) for axis in range(3)] == [[2, 3, 4], [4, 5, 6], [5, 6, 7]]


@pytest.mark.parametrize("plane", range(3))
@pytest.mark.parametrize("rank", range(3))
@pytest.mark.parametrize("size", [5, 16, 64])
def test_a_picture_runs_as_the_axes_of_the_case_do(steps, plane, rank, size):
    """Rows are of the first axis that the slice has, columns of the second, voxel by voxel."""
    cut = picture(seen(steps), plane, rank, size=size, channels=range(3), outside_hu=OUTSIDE)
    index = largest_slices(steps, plane)[rank]
    middle = centroid(steps.take(index, plane))
    own_axes = [axis for axis in range(3) if axis != plane]
    for i in range(size):
        for j in (0, size // 2, size - 1):
            at = [0, 0, 0]
            at[plane] = index
            for axis, pixel, m in zip(own_axes, (i, j), middle, strict=True):
                at[axis] = m - size // 2 + pixel
            inside = all(0 <= a < n for a, n in zip(at, SHAPE, strict=True))
            assert cut["image"][i, j].tolist() == (at if inside else [OUTSIDE] * 3)
            assert bool(cut["mask"][i, j]) is (inside and bool(steps[tuple(at)]))


def test_the_tumor_s_centroid_comes_to_the_middle():
    mask = np.zeros(SHAPE, bool)
    mask[6, 3:8, 20:31] = True  # rows 3 … 7 and columns 20 … 30: their means are 5 and 25
    cut = picture(seen(mask), 0, 0, size=16, channels=(1, 2), outside_hu=OUTSIDE)
    assert cut["image"][8, 8].tolist() == [5, 25]
    # Two voxels have their mean between them: the latter is in the middle.
    assert centroid(np.array([0, 1, 1, 0], bool)) == (2,)


def test_channels_are_those_that_are_asked_for(steps):
    cut = picture(seen(steps), 0, 0, size=8, channels=(2, 0), outside_hu=OUTSIDE)
    whole = picture(seen(steps), 0, 0, size=8, channels=range(3), outside_hu=OUTSIDE)
    np.testing.assert_array_equal(cut["image"], whole["image"][..., [2, 0]])


def test_slices_come_again_where_there_are_too_few(steps):
    flat = np.zeros(SHAPE, bool)
    flat[[4, 6]] = steps[[4, 6]]
    options = {"size": 8, "channels": range(3), "outside_hu": OUTSIDE}
    pictures = [picture(seen(flat), 0, rank, **options)["image"] for rank in range(3)]
    assert [int(p[4, 4, 0]) for p in pictures] == [6, 4, 6]


def test_no_tumor_no_slices():
    assert tumor_of(coordinates(), np.zeros(SHAPE, bool)) is None
    arrays, meta = to_arrays(None)
    assert not arrays
    assert from_arrays(arrays, meta) is None


def test_what_is_stored_is_what_was_cut(steps):
    tumor = seen(steps)
    arrays, meta = to_arrays(tumor)
    again = from_arrays(arrays, {CENTER: list(meta[CENTER])})
    assert again is not None
    assert again.center == tumor.center
    for plane, (one, other) in enumerate(zip(tumor.planes, again.planes, strict=True)):
        assert PLANES[plane]
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.mask, other.mask)


@pytest.mark.parametrize("shape", [(4, 6, 8), (16, 8, 64)])
def test_a_box_is_around_the_centroid_of_the_tumor(steps, shape):
    label = np.where(steps, 7, 3).astype(np.uint8)
    scan = Scan(("venous",), coordinates(), label, 7, seen(steps))
    cut = box(scan, shape=shape, channels=range(3), outside_hu=OUTSIDE)
    assert cut["image"].shape == (*shape, 3)
    start = [c - n // 2 for c, n in zip(centroid(steps), shape, strict=True)]
    inside = cut["image"][..., 0] != OUTSIDE
    places = np.argwhere(inside) + start
    np.testing.assert_array_equal(cut["image"][inside], places)
    np.testing.assert_array_equal(cut["mask"][inside] == 1, steps[tuple(places.T)])
    assert not cut["mask"][~inside].any()
    assert inside.sum() == np.prod(
        [min(a + n, m) - max(a, 0) for a, n, m in zip(start, shape, SHAPE, strict=True)]
    )
