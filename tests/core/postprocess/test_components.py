from inspect import unwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import cdist

from core.postprocess.components import components, keep_large

seeds = st.integers(0, 2**32 - 1)
neighbors = pytest.mark.parametrize(("neighbors", "steps"), [(6, 1), (18, 2), (26, 3)])


def random_mask(seed, density=0.3):
    rng = np.random.default_rng(seed)
    return rng.random(rng.integers(1, 12, 3)) < density


def rods(*lengths):
    """Rods along W, two voxels apart."""
    mask = np.zeros((1, 2 * len(lengths), max(lengths)), bool)
    for i, length in enumerate(lengths):
        mask[0, 2 * i, :length] = True
    return mask


@neighbors
def test_a_row_of_voxels_is_counted(neighbors, steps):
    for number in range(64):
        mask = np.array([[[bool(number >> bit & 1) for bit in range(6)]]])
        _, sizes = components(mask, neighbors=neighbors)
        assert len(sizes) == ndimage.label(mask, ndimage.generate_binary_structure(3, steps))[1]


@neighbors
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_row_seen_in_a_larger_mask_is_counted(neighbors, steps, axis):
    """A crop, a turned or a flipped scan is a view, whose voxels do not follow each other."""
    for number in range(64):
        row = [bool(number >> bit & 1) for bit in range(6)]
        larger = np.ones((13, 13, 13), bool)
        at = [slice(3, 4)] * 3
        at[axis] = slice(11, None, -2)
        view = larger[tuple(at)]
        view[...] = np.reshape(row, view.shape)
        _, sizes = components(view, neighbors=neighbors)
        assert len(sizes) == ndimage.label(row)[1]


@neighbors
@given(seed=seeds)
def test_components_are_those_of_scipy(neighbors, steps, seed):
    mask = random_mask(seed)
    ids, sizes = components(mask, neighbors=neighbors)
    structure = ndimage.generate_binary_structure(3, steps)
    expected, count = ndimage.label(mask, structure)
    assert len(sizes) == count
    # The numbers may differ, the parts may not.
    pairs = {*zip(ids.ravel().tolist(), expected.ravel().tolist(), strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    np.testing.assert_array_equal(sizes, [(ids == i).sum() for i in range(1, count + 1)])
    np.testing.assert_array_equal(ids > 0, mask)


@pytest.mark.parametrize(("length", "kept"), [(20, False), (21, True)])
def test_a_component_stays_if_it_is_strictly_larger_than_the_fraction(length, kept):
    mask = rods(100, length)
    assert keep_large(mask, 0.2, neighbors=6).sum() == 100 + kept * length


@given(seeds)
def test_keeping_is_idempotent_and_adds_nothing(seed):
    mask = random_mask(seed)
    once = keep_large(mask, 0.5, neighbors=6)
    assert not (once & ~mask).any()
    np.testing.assert_array_equal(keep_large(once, 0.5, neighbors=6), once)


@given(seeds)
def test_the_extremes_keep_everything_or_the_largest(seed):
    mask = random_mask(seed)
    np.testing.assert_array_equal(keep_large(mask, 0, neighbors=6), mask)
    if mask.any():
        _, sizes = components(keep_large(mask, 1, neighbors=6), neighbors=6)
        assert set(sizes) == {components(mask, neighbors=6)[1].max()}


def test_the_neighborhood_decides_what_hangs_together():
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = mask[1, 1, 0] = mask[2, 2, 1] = True  # an edge, then a corner
    counts = [len(components(mask, neighbors=n)[1]) for n in (6, 18, 26)]
    assert counts == [3, 2, 1]


def test_an_empty_mask_stays_empty():
    mask = np.zeros((4, 5, 6), bool)
    assert not keep_large(mask, 0.2, neighbors=6).any()
    assert components(mask, neighbors=6)[1].size == 0


def test_another_neighborhood_is_refused():
    with pytest.raises(ValueError, match="neighbors must be one of"):
        unwrap(components)(rods(3), neighbors=8)


def test_labels_instead_of_a_mask_are_refused():
    with pytest.raises(ValueError, match=r"mask\.dtype must be one of"):
        unwrap(components)(rods(3).astype(np.uint8), neighbors=6)


def test_a_plane_is_refused():
    with pytest.raises(ValueError, match="mask must have 3 axes"):
        unwrap(components)(rods(3)[0], neighbors=6)


def test_a_fraction_above_one_is_refused():
    with pytest.raises(ValueError, match=r"fraction_of_largest must lie in \[0, 1\]"):
        keep_large(rods(3), 20, neighbors=6)


@given(draw=st.integers(0, 2**32 - 1), near=st.sampled_from([1.0, 2.0, 2.5, 5.0, 9.0]))
def test_components_near_the_largest_stay_whatever_their_size(draw, near):
    mask = np.random.default_rng(draw).random((9, 10, 11)) < 0.06
    ids, sizes = components(mask, neighbors=6)
    kept = keep_large(mask, 1.0, neighbors=6, near_voxels=near)
    if not sizes.size:
        assert not kept.any()
        return
    largest = np.argwhere(ids == 1 + np.argmax(sizes))
    for number, size in enumerate(sizes, start=1):
        distance = cdist(np.argwhere(ids == number), largest).min()
        assert kept[ids == number].all() == (size == sizes.max() or distance < near)
        assert kept[ids == number].any() == kept[ids == number].all()
    assert not kept[~mask].any()
