import numpy as np
import pytest

from core.preprocess.resize import resize_gray, resize_map, resize_mask

SIZES = [(30, 40), (15, 20), (96, 128), (31, 17)]


@pytest.mark.parametrize("size", SIZES)
def test_constants_stay_what_they_are(size):
    assert (resize_gray(np.full((30, 40), 77, np.uint8), size) == 77).all()
    assert resize_mask(np.ones((30, 40), bool), size).all()
    assert not resize_mask(np.zeros((30, 40), bool), size).any()
    # Weights are kept as float32 in the library that resizes.
    np.testing.assert_allclose(resize_map(np.full((30, 40), 0.3), size), 0.3, rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_rows_come_before_columns(size):
    picture = np.zeros((30, 40), np.uint8)
    picture[:15] = 200  # upper half
    resized = resize_gray(picture, size)
    assert resized.shape == size
    middle, ramp = size[0] / 2, max(size[0] / 30, 1)  # one old or new pixel to each side
    assert (resized[: int(middle - ramp)] == 200).all()
    assert (resized[int(middle + ramp) + 1 :] == 0).all()


def test_halving_averages_so_that_stripes_of_a_pixel_turn_gray():
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 200
    inner = resize_gray(stripes, (32, 32))[:, 2:-2]
    # A triangle of four pixels holds two bright ones of eight sixteenths.
    assert np.abs(inner.astype(int) - 100).max() <= 1


def test_a_thin_structure_is_weighed_with_its_neighborhood():
    lone, pair = np.zeros((2, 64, 64), bool)
    lone[:, 31], pair[:, 30:32] = True, True  # half of each pixel, and the whole
    assert not resize_mask(lone, (32, 32)).any()
    assert resize_mask(pair, (32, 32))[:, 15].all()


def test_a_mask_keeps_its_place_and_area():
    y, x = np.mgrid[:256, :320]
    disk = (y - 100) ** 2 + (x - 200) ** 2 <= 60**2
    small = resize_mask(disk, (128, 160))
    # Borders move by half a pixel at most: 2 π r / 2 of π r² at r = 30.
    assert abs(small.mean() / disk.mean() - 1) < 1 / 30
    center = np.argwhere(small).mean(axis=0) + 0.5
    np.testing.assert_allclose(center, (50.25, 100.25), atol=0.1)
    back = resize_mask(small, disk.shape)
    assert np.count_nonzero(back ^ disk) < 2 * np.pi * 60  # a line along the border


def test_the_same_size_is_the_same_array():
    mask = np.eye(5, dtype=bool)
    assert resize_mask(mask, (5, 5)) is mask
