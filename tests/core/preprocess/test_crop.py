import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.preprocess.crop import Box, bounding_box, crop, grow, intersect, pad_to, uncrop

shapes = st.tuples(*[st.integers(1, 9)] * 3)


@st.composite
def boxes(draw):
    shape = draw(shapes)
    ends = [sorted((draw(st.integers(0, n)), draw(st.integers(0, n)))) for n in shape]
    return shape, Box(tuple(e[0] for e in ends), tuple(e[1] for e in ends))


def numbered(shape):
    return np.arange(np.prod(shape)).reshape(shape)


@given(boxes())
def test_uncrop_inverts_crop(case):
    shape, box = case
    volume = numbered(shape)
    inside = np.zeros(shape, bool)
    inside[box.slices] = True
    restored = uncrop(crop(volume, box), box, shape, -1)
    np.testing.assert_array_equal(restored, np.where(inside, volume, -1))


@given(boxes())
def test_crop_inverts_uncrop(case):
    shape, box = case
    part = numbered(box.shape)
    np.testing.assert_array_equal(crop(uncrop(part, box, shape, 0), box), part)


@given(shapes, shapes)
def test_crop_inverts_padding(shape, wanted):
    volume = numbered(shape)
    padded, box = pad_to(volume, wanted, -7)
    assert padded.shape == tuple(np.maximum(shape, wanted))
    np.testing.assert_array_equal(crop(padded, box), volume)
    assert np.count_nonzero(padded == -7) == padded.size - volume.size


def test_padding_is_half_before_and_half_after():
    _, box = pad_to(np.zeros((61, 64, 70)), (64, 64, 64), 0)
    assert box == Box((1, 0, 0), (62, 64, 70))


def test_channels_follow_the_voxels():
    probs = numbered((4, 5, 6, 2))
    box = Box((1, 2, 3), (3, 4, 6))
    restored = uncrop(crop(probs, box), box, (4, 5, 6), 0)
    np.testing.assert_array_equal(restored[box.slices], probs[box.slices])
    assert pad_to(probs, (8, 5, 6), 0)[0].shape == (8, 5, 6, 2)


@given(shapes, st.integers(0, 2**32 - 1))
def test_bounding_box_is_the_smallest_that_holds_the_mask(shape, seed):
    mask = np.random.default_rng(seed).random(shape) < 0.1
    box = bounding_box(mask)
    if box is None:
        assert not mask.any()
        return
    voxels = np.argwhere(mask)
    assert box == Box(tuple(voxels.min(0)), tuple(voxels.max(0) + 1))


def test_growing_stops_at_the_border():
    box = Box((10, 40, 90), (20, 60, 99))
    assert grow(box, 32, (100, 100, 100)) == Box((0, 8, 58), (52, 92, 100))
    assert grow(box, (32, 0, 5), (100, 100, 100)) == Box((0, 40, 85), (52, 60, 100))


def test_growing_refuses_a_negative_margin():
    with pytest.raises(ValueError, match="margin must not be negative; got -1"):
        grow(Box((0, 0, 0), (1, 1, 1)), -1, (2, 2, 2))


def test_crop_refuses_a_box_outside():
    with pytest.raises(ValueError, match=r"does not lie inside a volume of shape \(2, 2, 2\)"):
        crop(np.zeros((2, 2, 2)), Box((0, 0, 1), (1, 1, 3)))


def test_uncrop_refuses_an_array_of_another_shape():
    with pytest.raises(ValueError, match=r"array \(1, 1, 1\) is not as large as its box"):
        uncrop(np.zeros((1, 1, 1)), Box((0, 0, 0), (2, 1, 1)), (2, 2, 2), 0)


def test_intersect_lies_in_both_boxes():
    assert intersect(Box((0, 5), (10, 9)), Box((4, 0), (20, 7))) == Box((4, 5), (10, 7))


def test_boxes_apart_do_not_intersect():
    with pytest.raises(ValueError, match="do not overlap"):
        intersect(Box((0,), (4,)), Box((4,), (8,)))
