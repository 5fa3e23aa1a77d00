import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from core.preprocess import resample_back
from core.preprocess.resample import interpolate, linear_weights, resample_image
from core.preprocess.resample_back import label_on, peak_bytes, value_on


def at_once(logits, shape):
    """Every class interpolated in full, then the highest."""
    weights = [linear_weights(*n).astype(float) for n in zip(logits.shape, shape, strict=False)]
    classes = [interpolate(values.astype(float), weights) for values in np.moveaxis(logits, -1, 0)]
    return np.stack(classes, axis=-1)


def smooth(shape, num_classes, sigma=2.0, seed=0):
    noise = np.random.default_rng(seed).normal(size=(*shape, num_classes))
    return ndimage.gaussian_filter(noise, (sigma, sigma, sigma, 0)).astype(np.float32)


SIZES = st.tuples(*[st.integers(1, 9)] * 3)
DOUBLED = st.tuples(*[st.sampled_from([1, 2, 4])] * 3)


@settings(max_examples=60, deadline=None)
@given(SIZES, DOUBLED, st.integers(1, 5), st.integers(0, 2**20))
def test_ties_go_to_the_lower_class_as_if_all_were_interpolated(size, factors, num_classes, seed):
    # Small whole numbers and shares of 1/8: float32 is exact, and many values are equal.
    logits = np.random.default_rng(seed).integers(0, 3, (*size, num_classes)).astype(np.float32)
    shape = tuple(n * f for n, f in zip(size, factors, strict=True))
    np.testing.assert_array_equal(label_on(logits, shape), at_once(logits, shape).argmax(-1))


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES, st.sampled_from([0.0, 1.0]), st.integers(0, 2**20))
def test_any_size_as_if_all_were_interpolated(size, shape, sigma, seed):
    logits = smooth(size, 4, sigma, seed)
    values = at_once(logits, shape)
    winners = np.take_along_axis(values, label_on(logits, shape)[..., None].astype(int), -1)[..., 0]
    # Three float32 interpolations may turn round what differs by less.
    assert (winners >= values.max(-1) - 1e-6 * np.abs(logits).max()).all()


def in_float32(logits, shape):
    """`at_once` in the same precision and order of axes, with the two terms that are not 0."""
    values = logits
    for axis, (num, new) in enumerate(zip(logits.shape, shape, strict=False)):
        lines, weights = np.moveaxis(values, axis, 0), linear_weights(num, new)
        sums = [sum(w[i] * lines[i] for i in np.flatnonzero(w)) for w in weights]
        values = np.moveaxis(np.stack(sums), 0, axis)
    return values


@settings(max_examples=30, deadline=None)
@given(SIZES, SIZES, st.integers(0, 2**20))
def test_differences_of_a_rounding_are_settled_as_float32_settles_them(size, shape, seed):
    lowest = np.random.default_rng(seed).uniform(1.9, 8)
    ulps = np.random.default_rng(seed).integers(0, 3, (*size, 3)).astype(np.float32)
    logits = np.float32(lowest) + np.spacing(np.float32(lowest)) * ulps
    expected = in_float32(logits, shape).argmax(-1)
    np.testing.assert_array_equal(label_on(logits, shape), expected)


def test_a_class_that_wins_nowhere_on_the_old_grid_may_win_between():
    logits = np.array([[9, 0], [0, 9], [5, 5]], np.float32).T[None, None]
    labels = label_on(logits, (1, 1, 6))
    np.testing.assert_array_equal(labels.ravel(), at_once(logits, (1, 1, 6)).argmax(-1).ravel())
    assert set(label_on(logits, (1, 1, 3)).ravel()) == {0, 1, 2}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_across_a_coarse_axis_the_nearest_slice_is_taken(axis):
    logits = np.moveaxis(smooth((4, 6, 7), 3, 1.0), 0, axis)
    shape = tuple(8 if a == axis else 13 for a in range(3))
    found = np.moveaxis(label_on(logits, shape, axis=axis), axis, 0)
    in_plane = tuple(n for a, n in enumerate(shape) if a != axis)
    for z, labels in enumerate(found):
        plane = np.take(logits, [z // 2], axis=axis)
        plane = np.moveaxis(plane, axis, 0)
        expected = at_once(plane, (1, *in_plane)).argmax(-1)[0]
        np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("num", [2, 49])
def test_nearest_is_the_slice_that_an_image_is_taken_from(num):
    image = np.eye(4, dtype=np.float32)[:, :, None]
    expected = resample_image(image, (num, 4, 1), axis=0).argmax(1)[:, 0]
    np.testing.assert_array_equal(
        label_on(image[:, None], (num, 1, 1), axis=0).ravel(), np.zeros(num)
    )
    labels = label_on(np.eye(4, dtype=np.float32)[:, None, None], (num, 1, 1), axis=0)
    np.testing.assert_array_equal(labels.ravel(), expected)


def test_the_same_grid_is_the_highest_class():
    logits = np.random.default_rng(0).integers(0, 3, (5, 6, 7, 4)).astype(np.float32)
    np.testing.assert_array_equal(label_on(logits, (5, 6, 7)), logits.argmax(-1))


@pytest.mark.parametrize(("num_classes", "dtype"), [(1, "u1"), (255, "u1"), (256, "u2")])
def test_ids_are_as_small_as_the_classes_allow(num_classes, dtype):
    logits = np.eye(num_classes, dtype=np.float32)[None, None]
    labels = label_on(logits, (1, 1, num_classes))
    assert labels.dtype == dtype
    np.testing.assert_array_equal(labels.ravel(), np.arange(num_classes))


def test_classes_that_are_ruled_out_stay_so():
    logits = smooth((4, 5, 6), 3)
    logits[..., 0] = -np.inf
    assert set(np.unique(label_on(logits, (4, 5, 6)))) == {1, 2}


def test_half_precision_and_classes_first_are_read_as_they_are():
    logits = smooth((5, 9, 8), 4).astype(np.float16)
    first = np.moveaxis(np.ascontiguousarray(np.moveaxis(logits, -1, 0)), 0, -1)
    expected = label_on(logits.astype(np.float32), (7, 20, 21))
    np.testing.assert_array_equal(label_on(first, (7, 20, 21)), expected)


@pytest.mark.parametrize("sigma", [0.0, 3.0])
@pytest.mark.parametrize(
    ("size", "shape", "num_classes"),
    [
        ((20, 40, 40), (40, 100, 100), 5),
        ((10, 40, 40), (20, 60, 60), 40),
        ((9, 99, 99), (9, 9, 9), 6),
    ],
)
def test_memory_is_bounded_far_below_all_classes(size, shape, num_classes, sigma):
    logits = smooth(size, num_classes, sigma)
    label_on(logits, (2, 2, 2))  # What is made once, by the first call.
    tracemalloc.start()
    label_on(logits, shape)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= peak_bytes(logits.shape, shape)


def test_the_bound_of_a_scan_is_a_few_megabytes_beside_the_labels(monkeypatch):
    monkeypatch.setattr(resample_back, "THREADS", 2)
    shape = (300, 512, 512)
    all_classes = 4 * 10 * np.prod(shape)
    assert peak_bytes((200, 192, 192, 10), shape) < 0.05 * all_classes


@pytest.mark.parametrize("axis", [None, 0, 2])
def test_values_of_one_class_are_interpolated_alike(axis):
    values = smooth((4, 5, 6), 2)
    ours = [value_on(values[..., k], (7, 9, 11), axis=axis) for k in range(2)]
    np.testing.assert_array_equal(np.argmax(ours, 0), label_on(values, (7, 9, 11), axis=axis))
    if axis is None:
        expected = at_once(values, (7, 9, 11))[..., 0]
        # Sums of two float32 values on each of three axes.
        np.testing.assert_allclose(ours[0], expected, atol=1e-6)


def test_values_of_one_class_need_little_beside_the_result():
    values = smooth((20, 40, 40), 1)[..., 0]
    value_on(values, (2, 2, 2))
    tracemalloc.start()
    resampled = value_on(values, (60, 100, 100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * resampled.nbytes


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 2, 2), "logits must have 4 axes"), ((0, 2, 2, 3), "must be positive")],
)
def test_logits_without_classes_or_voxels_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        resample_back.label_on.__wrapped__(np.zeros(shape, np.float32), (2, 2, 2))
