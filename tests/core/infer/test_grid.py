from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from core.infer.grid import (
    BATCHES_PER_CHUNK,
    BUCKET,
    Plan,
    cover,
    gaussian,
    largest_overlap,
    starts,
)


@st.composite
def axes(draw):
    window = draw(st.integers(1, 12))
    return draw(st.integers(window, 60)), window, draw(st.integers(1, window))


def test_worked_examples():
    assert starts(100, 64, 20).tolist() == [0, 20, 36]
    assert starts(104, 64, 20).tolist() == [0, 20, 40]
    assert starts(64, 64, 20).tolist() == [0]
    assert cover(5, 3, 1).tolist() == [1, 2, 3, 2, 1]


@given(axes())
def test_windows_start_at_zero_end_at_the_border_and_leave_nothing_out(axis):
    size, window, stride = axis
    first = starts(size, window, stride)
    assert first[0] == 0
    assert first[-1] == size - window
    assert (np.diff(first) > 0).all()
    assert (np.diff(first) <= stride).all()
    assert (np.diff(first)[:-1] == stride).all()


@given(axes())
def test_cover_counts_the_windows_over_each_voxel(axis):
    size, window, stride = axis
    counted = np.zeros(size)
    for a in starts(size, window, stride):
        counted[a : a + window] += 1
    np.testing.assert_array_equal(cover(size, window, stride), counted)
    assert counted.max() ** 3 <= largest_overlap((window,) * 3, (stride,) * 3)


@pytest.mark.parametrize(("size", "window", "stride"), [(9, 10, 2), (20, 10, 11), (20, 10, 0)])
def test_a_grid_that_leaves_voxels_out_is_refused(size, window, stride):
    with pytest.raises(ValueError, match="expected 0 < stride <= window <= size; got stride="):
        starts(size, window, stride)


def make_plan(shape, window=(8, 8, 8), stride=(3, 3, 3), batch=2):
    return Plan(shape, window, stride, batch, num_channels=1, num_classes=3)


@given(st.tuples(*[st.integers(8, 40)] * 3), st.integers(1, 64))
def test_chunks_hold_every_window_once_and_finish_every_slice_once(shape, batch):
    plan = make_plan(shape, batch=batch)
    starts, finished = [], 0
    for chunk in plan.chunks():
        assert chunk.first == finished
        assert chunk.starts[:, 0].max() + plan.window[0] <= plan.chunk_shape[0]
        starts += np.add(chunk.starts, (chunk.first, 0, 0)).tolist()
        finished = chunk.done
    expected = np.stack(np.meshgrid(*plan.axes, indexing="ij"), -1).reshape(-1, 3)
    np.testing.assert_array_equal(starts, expected)
    assert finished == shape[0]
    assert len(starts) == plan.num_windows


@given(st.tuples(*[st.integers(8, 40)] * 3), st.integers(1, 64))
def test_few_batches_run_part_empty(shape, batch):
    plan = make_plan(shape, batch=batch)
    wasted = plan.num_batches * batch - plan.num_windows
    assert wasted < batch * (1 + plan.num_windows / (batch * BATCHES_PER_CHUNK) + 1)


def test_device_memory_does_not_grow_with_the_number_of_slices():
    scan = [make_plan((d, 512, 512), (64, 64, 64), (20, 20, 20), 16) for d in (200, 667)]
    assert scan[0].device_bytes == scan[1].device_bytes
    assert scan[1].chunk_shape == (64, 512, 512)
    assert scan[1].num_windows == 32 * 24 * 24
    assert scan[1].num_batches == 32 * 24 * 24 / 16


def test_volumes_of_one_bucket_share_their_device_shapes():
    shapes = {make_plan((20, h, w)).chunk_shape[1:] for h in (130, 200) for w in (100, 256)}
    assert shapes == {(2 * BUCKET, 2 * BUCKET)}


def test_a_small_volume_is_one_chunk():
    plan = make_plan((20, 20, 20), batch=512)
    assert plan.num_batches == 1
    assert plan.num_windows == prod(len(starts(20, 8, 3)) for _ in range(3))


@pytest.mark.parametrize("size", [64, 65, 96, 97, 110, 300])
@pytest.mark.parametrize("stride", [13, 32, 64])
def test_even_starts_are_nnunets(size, stride):
    num = int(np.ceil((size - 64) / stride)) + 1
    step = (size - 64) / (num - 1) if num > 1 else 0
    expected = [int(np.round(step * i)) for i in range(num)]
    assert starts(size, 64, stride, even=True).tolist() == expected


@pytest.mark.parametrize("window", [5, 16, 80, 96])
def test_importance_is_a_gaussian_around_the_middle_voxel(window):
    delta = np.zeros(window)
    delta[window // 2] = 1
    filtered = ndimage.gaussian_filter1d(delta, window / 8, mode="constant", truncate=8)
    np.testing.assert_allclose(gaussian(window), filtered / filtered.max(), rtol=1e-5)


def test_importance_over_an_axis_is_the_sum_of_its_windows():
    total = cover(9, 4, 3, even=True, importance="gaussian")
    expected = np.zeros(9)
    for start in (0, 2, 5):
        expected[start : start + 4] += gaussian(4)
    np.testing.assert_allclose(total, expected, rtol=1e-6)
