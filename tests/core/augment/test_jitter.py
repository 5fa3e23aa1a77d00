from functools import partial
from inspect import unwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from core.augment.elastic import displacement
from core.augment.jitter import corner_map, jitter
from core.augment.resample import resample_reflected
from core.random import stream

RNG = np.random.default_rng(0)
IMAGE = jnp.asarray(RNG.uniform(0, 255, (24, 20)), jnp.float32)
LABEL = jnp.asarray(RNG.integers(0, 3, (24, 20)), jnp.uint8)
KEY = jax.random.key(5)
STILL = {"corners_px": 0.0, "reach_px": 0.0, "sigma_px": 4.0, "crop_px": 20, "probability": 1.0}
still = partial(jitter, **STILL)
SQUARE = (jnp.asarray(IMAGE[:20]), jnp.asarray(LABEL[:20]))


def test_lengths_of_zero_and_the_whole_crop_change_nothing():
    image, label = still(KEY, *SQUARE)
    # The affine map is the identity up to float32 rounding of places.
    np.testing.assert_allclose(image, SQUARE[0], atol=1e-2)
    np.testing.assert_array_equal(label, SQUARE[1])


def test_probability_zero_changes_nothing():
    options = STILL | {"corners_px": 2.0, "crop_px": 11, "probability": 0.0}
    for ours, given in zip(jitter(KEY, *SQUARE, **options), SQUARE, strict=True):
        np.testing.assert_array_equal(ours, given)


def test_the_map_takes_the_moved_corners_back():
    shape, reach = (60, 48), 5.0
    start, per_row, per_column = (np.ravel(v) for v in corner_map(KEY, shape, corners_px=reach))
    half = 48 // 3
    corners = np.array([[30 + half, 24 + half], [30 - half, 24 + half], [30 - half, 24 - half]])
    matrix = np.linalg.inv(np.stack([per_row, per_column], axis=1))
    moved = (corners - start) @ matrix.T - corners
    assert np.abs(moved).max() <= reach + 1e-3
    assert np.abs(moved).max() > 0
    drawn = jax.random.uniform(KEY, (3, 2), minval=-reach, maxval=reach)
    # Float32 places near 50 after a division.
    np.testing.assert_allclose(moved, drawn, atol=1e-3)


def test_a_crop_is_scipys_zoom_of_a_window():
    options = STILL | {"crop_px": 13, "corners_px": 0.0}
    image, label = jitter(KEY, *SQUARE, **options)
    crops = []
    for axis in range(2):
        drawn = jax.random.fold_in(stream(KEY, "crop"), axis)
        crops.append(int(jax.random.randint(drawn, (), 0, 20 - 13 + 1)))
    window = tuple(slice(first, first + 13) for first in crops)
    expected = ndimage.zoom(
        np.asarray(SQUARE[0])[window], 20 / 13, order=1, mode="nearest", grid_mode=True
    )
    np.testing.assert_allclose(image, expected, atol=1e-2)
    nearest = ndimage.zoom(
        np.asarray(SQUARE[1])[window], 20 / 13, order=0, mode="nearest", grid_mode=True
    )
    np.testing.assert_array_equal(label, nearest)


def test_the_field_moves_by_itself():
    options = STILL | {"reach_px": 40.0}
    image, _ = jitter(KEY, *SQUARE, **options)
    field = displacement(
        stream(KEY, "elastic"), (20, 20), reading="literal", reach_px=40.0, sigma_px=4.0
    )
    places = np.moveaxis(np.indices((20, 20)), 0, -1) + field
    expected, _ = resample_reflected(*SQUARE, places)
    np.testing.assert_allclose(image, expected, atol=1e-2)


def test_resampling_is_scipys_with_the_border_mirrored():
    source = jnp.asarray(RNG.uniform(-30, 50, (24, 20, 2)), jnp.float32)
    image, label = resample_reflected(IMAGE, LABEL, source)
    places = np.moveaxis(np.asarray(source, np.float64), -1, 0)
    expected = ndimage.map_coordinates(IMAGE, places, order=1, mode="mirror")
    np.testing.assert_allclose(image, expected, atol=1e-2)
    np.testing.assert_array_equal(
        label, ndimage.map_coordinates(LABEL, np.rint(places), order=0, mode="mirror")
    )


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("probability", 1.5, "probability must lie in"),
        ("crop_px", 21, r"crop_px must lie in \[1, 20\]"),
        ("corners_px", 3.0, r"corners_px must lie in \[0, 3.0\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused(option, value, message):
    with pytest.raises(ValueError, match=message):
        jitter(KEY, *SQUARE, **(STILL | {option: value}))


def test_labels_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="expected label"):
        unwrap(resample_reflected)(IMAGE, LABEL[1:], jnp.zeros((24, 20, 2)))
