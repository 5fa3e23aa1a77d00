import numpy as np
import pytest
from scipy import ndimage

from core.preprocess.resample import (
    coarse_axis,
    interpolate,
    linear_weights,
    resample_image,
    resample_label,
    shape_at,
)


def smooth(shape, seed=0):
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5) * 100


def test_a_grid_covers_the_same_volume():
    assert shape_at((20, 30, 40), (2.0, 1.0, 0.5), (1.0, 1.0, 1.0)) == (40, 30, 20)
    assert shape_at((3, 30, 30), (1.0, 1.0, 1.0), (7.0, 1.0, 1.0)) == (1, 30, 30)


def test_half_a_voxel_rounds_as_nnunet_rounds_it():
    # 0.62 / 0.8 is a hair below 0.775, and 20 · 0.62 / 0.8 is not.
    assert shape_at((20, 20, 20), (0.62, 1.0, 1.0), (0.8, 1.0, 1.0)) == (15, 20, 20)


@pytest.mark.parametrize(
    ("old", "new", "axis"),
    [
        ((1.0, 0.7, 0.7), (0.8, 0.68, 0.68), None),
        ((5.0, 0.7, 0.7), (3.0, 0.6, 0.6), 0),
        ((1.0, 1.0, 1.0), (1.0, 4.0, 1.0), 1),
        ((0.24, 1.25, 1.25), (1.0, 1.0, 1.0), None),
    ],
)
def test_an_axis_that_is_much_coarser_is_one_of_its_own(old, new, axis):
    assert coarse_axis(old, new) == axis


@pytest.mark.parametrize("shape", [(12, 31, 21), (7, 16, 40)])
def test_images_are_cubic_splines_between_the_edges(shape):
    image = smooth((10, 20, 25)).astype(np.float32)
    # The centers of the new voxels in old ones, with the edges of both grids in one place.
    places = [(np.arange(n) + 0.5) * o / n - 0.5 for n, o in zip(shape, image.shape, strict=True)]
    at = np.stack(np.meshgrid(*places, indexing="ij"))
    expected = ndimage.map_coordinates(image, at, order=3, mode="nearest")
    expected = np.clip(expected, image.min(), image.max())
    resampled = resample_image(image, shape)
    assert resampled.dtype == np.float32
    # Places are computed in another order.
    np.testing.assert_allclose(resampled, expected, atol=1e-3)


def test_the_same_grid_changes_nothing():
    image = smooth((6, 7, 8)).astype(np.float32)
    label = (image > 5).astype(np.uint8)
    np.testing.assert_array_equal(resample_image(image, image.shape), image)
    np.testing.assert_array_equal(resample_label(label, label.shape), label)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_across_a_coarse_axis_the_nearest_slice_is_taken(axis):
    image = np.moveaxis(np.arange(4.0)[:, None, None] * np.ones((4, 6, 6)), 0, axis)
    shape = tuple(8 if a == axis else 9 for a in range(3))
    resampled = np.moveaxis(resample_image(image, shape, axis=axis), axis, 0)
    np.testing.assert_allclose(resampled[:, 4, 4], [0, 0, 1, 1, 2, 2, 3, 3], atol=1e-5)
    label = resample_label(image.astype(np.uint8), shape, axis=axis)
    np.testing.assert_array_equal(np.moveaxis(label, axis, 0)[:, 4, 4], [0, 0, 1, 1, 2, 2, 3, 3])


def test_a_voxel_gets_the_label_that_covers_most_of_it():
    label = np.zeros((1, 1, 6), np.uint8)
    label[..., 2:4], label[..., 4:] = 7, 3
    # The new centers lie at 0.1, 1.3, 2.5, 3.7 and 4.9 old voxels.
    assert resample_label(label, (1, 1, 5)).ravel().tolist() == [0, 0, 7, 3, 3]


def test_where_three_labels_meet_every_voxel_has_one_of_them():
    label = np.random.default_rng(0).integers(1, 4, (6, 6, 6)).astype(np.uint8)
    assert set(np.unique(resample_label(label, (11, 11, 11)))) <= {1, 2, 3}


@pytest.mark.parametrize(("num", "new"), [(1, 4), (4, 1), (5, 5), (7, 12), (12, 7)])
def test_linear_weights_reproduce_a_ramp_and_sum_to_one(num, new):
    weights = linear_weights(num, new)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    places = np.clip((np.arange(new) + 0.5) * num / new - 0.5, 0, num - 1)
    np.testing.assert_allclose(weights @ np.arange(num), places, atol=1e-5)


def test_interpolation_goes_along_every_axis():
    values = smooth((4, 5, 6)).astype(np.float32)
    weights = [linear_weights(n, n + 3) for n in values.shape]
    expected = np.einsum("ad,bh,cw,dhw->abc", *weights, values)
    np.testing.assert_allclose(interpolate(values, weights), expected, rtol=1e-4, atol=1e-3)
