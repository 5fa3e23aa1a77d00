import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.patches import (
    centered_start,
    extract,
    random_start,
    random_start_in,
    sample_voxels,
    start_where,
)
from core.preprocess.crop import Box, pad_to

triples = st.tuples(*[st.integers(1, 9)] * 3)
seeds = st.integers(0, 2**32 - 1)


def rng(seed=0):
    return np.random.default_rng(seed)


@given(triples, triples, seeds)
def test_a_random_patch_lies_inside_the_scan_or_holds_all_of_it(shape, patch, seed):
    start = random_start(rng(seed), shape, patch)
    for a, p, n in zip(start, patch, shape, strict=True):
        assert (0 <= a <= n - p) if n >= p else (a <= 0 and a + p >= n)


def test_random_starts_reach_both_ends_equally():
    starts = [random_start(rng(i), (10, 10, 10), (8, 8, 8)) for i in range(3000)]
    counts = np.stack([np.bincount(axis, minlength=3) for axis in np.transpose(starts)])
    # Binomial(3000, 1/3): standard deviation 26; 5 of them.
    np.testing.assert_allclose(counts, 1000, atol=130)


@given(triples, triples, triples)
def test_a_centered_patch_holds_its_voxel(shape, patch, voxel):
    voxel = np.minimum(voxel, np.subtract(shape, 1))
    start = np.array(centered_start(voxel, shape, patch))
    assert (start <= voxel).all()
    assert (voxel < start + patch).all()


def test_worked_examples():
    shape, patch = (100, 100, 61), (64, 64, 64)
    assert centered_start((50, 90, 3), shape, patch) == (18, 36, -1)
    assert random_start(rng(), (64, 64, 61), patch) == (0, 0, -1)
    ends = [random_start_in(rng(i), Box((40, 0, 0), (140, 64, 64)), patch) for i in range(400)]
    assert {start[0] for start in ends} == set(range(40, 77))


@given(triples, triples, st.tuples(*[st.integers(-12, 12)] * 3))
def test_extract_equals_cutting_a_padded_scan(shape, patch, start):
    array = np.arange(np.prod(shape)).reshape(shape)
    wide = np.pad(array, 24, constant_values=-5)
    window = tuple(slice(a + 24, a + 24 + p) for a, p in zip(start, patch, strict=True))
    np.testing.assert_array_equal(extract(array, start, patch, -5), wide[window])


def test_extract_agrees_with_the_padding_of_small_scans():
    array = rng().random((61, 64, 5))
    start = random_start(rng(), array.shape, (64, 64, 64))
    expected, _ = pad_to(array, (64, 64, 64), -1)
    np.testing.assert_array_equal(extract(array, start, (64, 64, 64), -1), expected)


def test_extract_copies_and_keeps_channels():
    array = np.zeros((4, 4, 4, 2), np.int16)
    patch = extract(array, (0, 0, 0), (4, 4, 4), 0)
    patch += 1
    assert patch.dtype == np.int16
    assert not array.any()
    assert extract(array, (3, 3, 3), (4, 4, 4), 9).shape == (4, 4, 4, 2)


LABEL = np.zeros((20, 20, 20), np.uint8)
LABEL[15:17, 15:17, 15:17] = 2
WHOLE = Box((0, 0, 0), (20, 20, 20))


def tumor_inside(patch):
    return (patch == 2).sum() >= 1


@given(seeds)
def test_rejection_returns_what_is_accepted(seed):
    tumor = np.argwhere(LABEL == 2)
    start = start_where(rng(seed), LABEL, WHOLE, (4, 4, 4), tumor_inside, voxels=tumor, max_tries=3)
    assert tumor_inside(extract(LABEL, start, (4, 4, 4), 0))


def test_rejection_without_any_voxel_gives_the_last_draw():
    nothing = np.zeros((0, 3), np.int32)
    start = start_where(
        rng(1), LABEL, WHOLE, (4, 4, 4), lambda _: False, voxels=nothing, max_tries=2
    )
    second = rng(1)
    random_start(second, (20, 20, 20), (4, 4, 4))
    assert start == random_start(second, (20, 20, 20), (4, 4, 4))


@pytest.mark.parametrize(("bound", "expected"), [(100, 8), (8, 8), (5, 5), (0, 0)])
def test_sampled_voxels_are_true_different_and_bounded(bound, expected):
    voxels = sample_voxels(rng(), LABEL == 2, bound)
    assert voxels.shape == (expected, 3)
    assert len(np.unique(voxels, axis=0)) == expected
    assert (LABEL[tuple(voxels.T)] == 2).all()
