"""An image with outlines: in proportion, at a readable size, with everything in its place."""

import io

import numpy as np
import pytest
from PIL import Image

from core.report.outline import Outline
from core.report.picture import LONG_SIDE_INCH, STRIP_INCH, picture
from core.report.style import DPI

LONG, STRIP = round(LONG_SIDE_INCH * DPI), round(STRIP_INCH * DPI)
GRAY = np.full((64, 64), 90, np.uint8)
MASK = np.zeros((64, 64), bool)
MASK[8:24, 32:56] = True
RED, BLUE = (255, 0, 0), (0, 0, 255)


def _pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def _box(pixels, color):
    """First and last row and column of a color."""
    rows, columns = np.nonzero(np.abs(pixels - color).sum(-1) < 60)
    return np.array([rows.min(), rows.max(), columns.min(), columns.max()])


def test_an_outline_lies_around_its_object():
    expected = np.array([8, 24, 32, 56]) / 64 * LONG
    # The legend below shows the color as well: look at the image part only.
    pixels = _pixels(picture(GRAY, [Outline("truth", MASK, "red", True)]))[:LONG]
    box = _box(pixels, RED)
    np.testing.assert_allclose(box, expected, atol=4)  # half a line of 1.3 pt, twice


def test_truth_and_prediction_have_their_colors_and_names():
    outlines = [
        Outline("truth", MASK, "red", False),
        Outline("prediction", np.roll(MASK, 8, axis=0), "blue", True),
    ]
    pixels = _pixels(picture(GRAY, outlines))
    assert pixels.shape[:2] == (LONG + STRIP, LONG)
    assert _box(pixels[:LONG], RED)[0] < _box(pixels[:LONG], BLUE)[0]
    for color in (RED, BLUE):
        assert (np.abs(pixels[LONG:] - color).sum(-1) < 60).any()


def test_an_object_at_the_border_is_closed():
    mask = np.zeros_like(MASK)
    mask[:, :10] = True
    pixels = _pixels(picture(GRAY, [Outline("x", mask, "red", True)]))[:LONG]
    assert _box(pixels, RED)[2] <= 2


@pytest.mark.parametrize(
    ("shape", "pixel_mm", "expected"),
    [
        ((64, 64), None, (LONG, LONG)),
        ((40, 80), None, (LONG // 2, LONG)),
        ((40, 80), (0.2, 0.1), (LONG, LONG)),
        ((80, 20), None, (LONG, round(3 * DPI))),  # kept wide enough for a legend
    ],
)
def test_the_long_side_is_the_same_and_unequal_pixels_keep_their_proportion(
    shape, pixel_mm, expected
):
    pixels = _pixels(picture(np.zeros(shape, np.uint8), [], pixel_mm=pixel_mm))
    assert pixels.shape[:2] == expected


def test_a_title_takes_a_strip_of_its_own():
    assert _pixels(picture(GRAY, [], title="frame 3")).shape[:2] == (LONG + STRIP, LONG)


def test_bytes_and_colors_are_shown_as_they_are_and_numbers_from_least_to_largest():
    # matplotlib scales to [0, 1] and to one of 256 grays: one is lost.
    np.testing.assert_allclose(_pixels(picture(GRAY, [])), 90, atol=1)
    color = np.broadcast_to(np.array([200, 100, 50], np.uint8), (64, 64, 3))
    assert (_pixels(picture(color, [])) == [200, 100, 50]).all()
    ramp = np.repeat(np.linspace(-3, 5, 64, dtype=np.float32)[None], 64, axis=0)
    row = _pixels(picture(ramp, []))[LONG // 2, :, 0]
    assert (row[0], row[-1]) == (0, 255)


@pytest.mark.parametrize(
    ("pixel_mm", "length_mm"), [((0.5, 0.5), 10), ((0.1, 0.1), 2), ((0.01, 0.01), None)]
)
def test_the_scale_bar_is_as_long_as_it_says(pixel_mm, length_mm):
    pixels = _pixels(picture(np.zeros((64, 64), np.uint8), [], pixel_mm=pixel_mm))
    white = (pixels.min(-1) > 200).sum(axis=1)
    expected = length_mm / (64 * pixel_mm[1]) * LONG if length_mm else 0
    assert white.max() == pytest.approx(expected, abs=6)  # round line ends


def test_an_empty_mask_draws_nothing():
    plain, empty = picture(GRAY, []), picture(GRAY, [Outline("x", ~MASK & MASK, "red", True)])
    np.testing.assert_array_equal(_pixels(plain), _pixels(empty)[:LONG])


def test_a_constant_image_of_numbers_is_drawn():
    assert _pixels(picture(np.zeros((8, 8), np.float32), [])).max() == 0


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="image must have 2 or 3 axes"):
        picture(GRAY[0], [])
    with pytest.raises(ValueError, match=r"a color image must be \(h, w, 3\); got shape"):
        picture(GRAY[..., None], [])
    with pytest.raises(ValueError, match=r"image \(64, 64\), mask \(64, 63\)"):
        picture(GRAY, [Outline("x", MASK[:, 1:], "red", True)])
    with pytest.raises(ValueError, match="pixel_mm must be positive; got 0"):
        picture(GRAY, [], pixel_mm=(0.0, 1.0))
