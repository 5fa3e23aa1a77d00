import numpy as np
import pytest

from core.io.image.depth import bits_needed, to_uint8


@pytest.mark.parametrize("bits", [8, 12, 16, 32])
def test_deep_integers_keep_their_eight_highest_bits(bits):
    values = np.array([0, 1, 2 ** (bits - 1), 2**bits - 1], np.uint64)
    assert bits_needed([values]) == bits
    np.testing.assert_array_equal(to_uint8(values), values // 2 ** (bits - 8))


def test_small_values_in_a_deep_file_stay_as_they_are():
    values = np.array([0, 7, 255], np.uint16)
    np.testing.assert_array_equal(to_uint8(values), values)


def test_one_depth_for_all_pages_keeps_their_brightness_comparable():
    dark, bright = np.array([255], np.uint16), np.array([4095], np.uint16)
    bits = bits_needed([dark, bright])
    assert [int(to_uint8(page, bits=bits)[0]) for page in (dark, bright)] == [255 >> 4, 255]


def test_truth_values_are_black_and_white():
    assert to_uint8(np.array([False, True])).tolist() == [0, 255]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([-10.0, 0.0, 10.0], [0, 128, 255]),
        ([1000.0, 3000.0], [0, 255]),
        ([np.nan, 0.0, 1.0, np.inf], [0, 0, 255, 0]),
        ([np.nan], [0]),
        ([-3.0, -3.0], [0, 0]),
    ],
)
def test_real_numbers_fill_the_range_they_suggest(values, shown):
    assert to_uint8(np.array(values)).tolist() == shown


def test_negative_integers_are_stretched_like_real_numbers():
    assert to_uint8(np.array([-1000, 0, 1000], np.int16)).tolist() == [0, 128, 255]
