import jax
import numpy as np
import pytest

from lnmet.registration.deeds_descriptors import THRESHOLDS, descriptors

# (y, x, z) as the paper's program names its axes: its first one is the fastest, our last.
SHIFTS = [(1, 1, 0), (1, -1, 0), (-1, 0, 1), (0, -1, 1), (1, 0, 1), (0, 1, 1)]
READ_AT = [
    *[(-1, 0, 0), (0, -1, 0), (-1, 0, 0), (0, 1, 0), (0, 0, -1), (1, 0, 0)],
    *[(0, 0, -1), (0, 1, 0), (0, 0, -1), (-1, 0, 0), (0, 0, -1), (0, -1, 0)],
]
on_device = jax.jit(descriptors, static_argnums=1)


def naive(image: np.ndarray, step: int) -> np.ndarray:
    """60 bits per voxel, voxel by voxel."""

    def ours(offset: tuple[int, ...]) -> np.ndarray:
        y, x, z = offset
        return step * np.asarray((z, y, x))

    def inside(place: np.ndarray) -> bool:
        return bool(np.all(place >= 0) and np.all(place < image.shape))

    fields = np.zeros((6, *image.shape), np.float32)
    for k, place in np.ndindex(6, image.size):
        place = np.asarray(np.unravel_index(place, image.shape))
        there = place + ours(SHIFTS[k])
        if inside(there):
            fields[(k, *place)] = (image[tuple(there)] - image[tuple(place)]) ** 2
    sums = np.zeros_like(fields)
    for k, *place in np.ndindex(fields.shape):
        box = tuple(slice(max(0, p - step), p + step + 1) for p in place)
        sums[(k, *place)] = fields[k][box].sum()
    bits = np.zeros(image.shape, np.uint64)
    for place in np.ndindex(image.shape):
        read = [np.asarray(place) + ours(offset) for offset in READ_AT]
        channels = np.asarray(
            [sums[(c // 2, *(at if inside(at) else place))] for c, at in enumerate(read)]
        )
        channels -= channels.min()
        channels /= np.maximum(channels.sum() / np.float32(12), np.float32(1e-6))
        for c, value in enumerate(channels):
            level = sum(value < np.float32(threshold) for threshold in THRESHOLDS)
            bits[place] |= np.uint64((2**level - 1) << 5 * c)
    return bits


def joined(words: jax.Array) -> np.ndarray:
    low, high = np.asarray(words).astype(np.uint64)
    return low | high << np.uint64(30)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_bits_equal_those_found_voxel_by_voxel(step: int):
    # Sums of squares of whole numbers are exact in float32, in whatever order.
    image = np.random.default_rng(step).integers(0, 30, (6, 8, 9)).astype(np.float32)
    np.testing.assert_array_equal(joined(on_device(image, step)), naive(image, step))


def test_thresholds_are_equal_steps_of_the_exponential():
    np.testing.assert_allclose(np.exp(-np.asarray(THRESHOLDS)), np.arange(1.5, 6) / 6, rtol=1e-12)
    np.testing.assert_allclose(THRESHOLDS, [1.386, 0.875, 0.539, 0.288, 0.087], atol=5e-4)


def test_a_constant_image_has_all_bits_set():
    assert np.all(joined(on_device(np.full((5, 6, 7), 40.0, np.float32), 1)) == 2**60 - 1)


def test_contrast_and_brightness_change_nothing():
    # Powers of two, so that not a bit is lost.
    image = np.random.default_rng(0).integers(0, 30, (6, 8, 9)).astype(np.float32)
    changed = 1024 - 4 * image
    np.testing.assert_array_equal(on_device(image, 2), on_device(changed, 2))
