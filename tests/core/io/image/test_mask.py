from functools import partial

import numpy as np
import pytest
from PIL import Image

from core.errors import InputError
from core.io.image.mask import (
    read_mask,
    read_probability,
    read_written_mask,
    write_mask,
    write_probability,
)
from tests.core.io.image import masks
from tests.core.io.image.masks import saved
from tests.refusals import refused

DISK = np.hypot(*np.mgrid[-20:20, -30:30]) < 12
SHAPE = DISK.shape


read = partial(masks.read, shape=SHAPE)


@pytest.mark.parametrize("high", [1, 128, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_two_values_are_a_mask_whatever_they_are(tmp_path, high, dtype):
    path = saved(tmp_path / "m.png", DISK.astype(dtype) * dtype(high))
    mask, told = read(path)
    np.testing.assert_array_equal(mask, DISK)
    assert told == []


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA"])
def test_masks_of_every_mode_are_the_same_mask(tmp_path, mode):
    path = saved(tmp_path / "m.png", Image.fromarray(DISK.astype(np.uint8) * 255).convert(mode))
    np.testing.assert_array_equal(read_mask([path], shape=SHAPE), DISK)


def test_a_mask_may_be_drawn_in_one_color_or_in_alpha(tmp_path):
    red = np.zeros((*SHAPE, 3), np.uint8)
    red[DISK, 0] = 255
    alpha = np.dstack([np.full(SHAPE, 255, np.uint8)] * 3 + [DISK.astype(np.uint8) * 255])
    for array in (red, alpha):
        path = saved(tmp_path / "m.png", array)
        np.testing.assert_array_equal(read_mask([path], shape=SHAPE), DISK)


def test_a_jpeg_mask_is_cut_in_the_middle(tmp_path):
    path = saved(tmp_path / "m.jpg", DISK.astype(np.uint8) * 255, quality=90)
    assert len(np.unique(np.asarray(Image.open(path)))) > 2
    np.testing.assert_array_equal(read_mask([path], shape=SHAPE), DISK)


def test_a_gray_border_beyond_one_percent_is_told(tmp_path):
    levels = np.clip(255 * (14 - np.hypot(*np.mgrid[-20:20, -30:30])) / 4, 0, 255).astype(np.uint8)
    share = np.mean((levels > 32) & (levels < 223))
    path = saved(tmp_path / "m.png", levels)
    mask, told = read(path)
    np.testing.assert_array_equal(mask, levels > 127)
    assert told == [f"{share:.1%} of the mask is gray; cut at 127"]


def test_several_masks_of_an_image_are_joined_and_none_is_empty(tmp_path):
    left = saved(tmp_path / "a.png", DISK & (np.arange(60) < 30))
    right = saved(tmp_path / "b.png", DISK & (np.arange(60) >= 30))
    np.testing.assert_array_equal(read_mask([left, right], shape=SHAPE), DISK)
    assert not read_mask([], shape=SHAPE).any()


def test_a_black_mask_is_empty_and_a_white_one_is_refused(tmp_path):
    path = saved(tmp_path / "m.png", np.zeros(SHAPE, np.uint8))
    assert not read_mask([path], shape=SHAPE).any()
    path = saved(tmp_path / "m.png", np.full(SHAPE, 255, np.uint8))
    with refused(path, "100% of the image", "is it inverted?", hint="--prepare.lesion-value"):
        read_mask([path], shape=SHAPE)


def test_another_size_is_refused_with_both_sizes(tmp_path):
    path = saved(tmp_path / "m.png", DISK)
    message = r"m\.png: the mask has 40 × 60 .* its image a\.png 60 × 40; export the mask"
    with pytest.raises(InputError, match=message):
        read_mask([path], shape=(60, 40), image_path=tmp_path / "a.png")


def test_a_label_map_and_a_stack_are_no_masks(tmp_path):
    labels = saved(tmp_path / "m.png", DISK.astype(np.uint8) + (np.arange(60) < 30))
    with refused(labels, "0, 1, 2", hint="255"):
        read_mask([labels], shape=SHAPE)
    pages = [Image.fromarray(DISK)] * 2
    stack = saved(tmp_path / "m.tif", pages[0], save_all=True, append_images=pages[1:])
    with refused(stack, "2 pages"):
        read_mask([stack], shape=SHAPE)


@pytest.mark.parametrize("mask", [DISK, ~DISK, DISK | True, DISK & False])
def test_a_written_mask_is_zero_and_255_and_reads_back(tmp_path, mask):
    path = write_mask(tmp_path / "new" / "m.png", mask)
    with Image.open(path) as image:
        assert (image.mode, image.format) == ("L", "PNG")
        np.testing.assert_array_equal(np.asarray(image), mask * 255)
    np.testing.assert_array_equal(read_written_mask(path, shape=SHAPE), mask)
    assert [p.name for p in path.parent.iterdir()] == ["m.png"]


def test_probabilities_read_back_within_half_a_step(tmp_path):
    probability = np.random.default_rng(0).random(SHAPE, np.float32)
    path = write_probability(tmp_path / "p.png", probability)
    # Half a step of 16 bits, and the rounding of float32 below 1.
    np.testing.assert_allclose(read_probability(path), probability, atol=0.5 / 65535 + 2**-24)


def test_what_is_no_probability_is_refused(tmp_path):
    for wrong in (-0.1, 1.5):
        with pytest.raises(ValueError, match="probability must lie in"):
            write_probability(tmp_path / "p.png", np.full((2, 2), wrong))
    assert not (tmp_path / "p.png").exists()
    with refused(tmp_path / "m.png", "16-bit"):
        read_probability(write_mask(tmp_path / "m.png", DISK))
