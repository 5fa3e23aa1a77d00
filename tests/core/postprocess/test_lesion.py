"""Sizes of shapes whose sizes are known."""

import numpy as np
import pytest

from core.postprocess.lesion import measure

SHAPE = (120, 160)


def _ellipse(half_long, half_short, degrees, shape=SHAPE, spacing=(1.0, 1.0)):
    """Ellipse of half axes in units of the spacing, its long axis turned from the columns."""
    center = (np.array(shape)[:, None, None] - 1) / 2
    y, x = (np.indices(shape) - center) * np.array(spacing)[:, None, None]
    angle = np.deg2rad(degrees)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return (along / half_long) ** 2 + (across / half_short) ** 2 <= 1


@pytest.mark.parametrize("degrees", [0, 30, 45, 77, 90, 160])
def test_axes_and_area_of_an_ellipse_at_any_angle(degrees):
    size = measure(_ellipse(50, 20, degrees))
    # The outline of pixels follows the ellipse to about half a pixel on either side; a tilt of the
    # long axis by two pixels across its ends widens the short one by as much again.
    assert size.long_axis_px == pytest.approx(100, abs=1.5)
    assert size.short_axis_px == pytest.approx(40, abs=3)
    assert size.area_px == pytest.approx(np.pi * 50 * 20, rel=0.01)
    assert size.num_pieces == 1
    assert np.isnan(size[4:]).all()


@pytest.mark.parametrize("degrees", [0, 30, 90])
def test_millimeters_of_unequal_pixels_are_those_of_the_true_shape(degrees):
    spacing = (0.25, 0.1)
    mask = _ellipse(7, 3, degrees, shape=(80, 160), spacing=spacing)
    size = measure(mask, spacing_mm=spacing)
    # Half a pixel of 0.25 mm on either side, twice for the short axis as above.
    assert size.long_axis_mm == pytest.approx(14, abs=0.25)
    assert size.short_axis_mm == pytest.approx(6, abs=0.5)
    assert size.area_mm2 == pytest.approx(mask.sum() * 0.25 * 0.1, rel=1e-12)


@pytest.mark.parametrize("num", [1, 2, 7])
def test_a_row_of_n_pixels_is_n_long_and_one_wide(num):
    for transpose in (False, True):
        mask = np.zeros((5, 9), bool)
        mask[2, 1 : 1 + num] = True
        mask, spacing = (mask.T, (0.5, 2.0)) if transpose else (mask, (2.0, 0.5))
        size = measure(mask, spacing_mm=spacing)
        assert size[:3] == pytest.approx((num, 1, num))
        # From end to end, or from the middle of an edge of the first pixel to that of the last.
        expected = max(0.5 * num, np.hypot(2.0, 0.5 * (num - 1)))
        assert size.long_axis_mm == pytest.approx(expected)
        assert size.area_mm2 == pytest.approx(num)


def test_a_turned_or_mirrored_mask_is_as_large():
    mask = np.random.default_rng(0).random((20, 20)) < 0.35
    sizes = {tuple(np.round(measure(m)[:4], 9)) for m in (mask, mask.T, mask[::-1], mask[:, ::-1])}
    assert len(sizes) == 1


def test_of_several_pieces_the_largest_is_measured_and_all_are_counted():
    mask = np.zeros((20, 40), bool)
    mask[2:6, 3:13] = True
    alone = measure(mask)
    mask[15:18, 30:33] = True
    mask[18, 33] = True  # a corner joins it to the small square
    mask[0, 39] = True
    size = measure(mask)
    assert size.num_pieces == 3
    assert size._replace(num_pieces=1)[:4] == alone[:4]


def test_a_mask_that_fills_the_image_reaches_from_border_to_border():
    size = measure(np.ones((30, 40), bool))
    # From the middle of one pixel edge at a corner to that at the other corner.
    assert size.long_axis_px == pytest.approx(np.hypot(29, 40), rel=1e-12)
    assert size.area_px == 30 * 40


def test_nothing_has_no_axes_and_no_area():
    for spacing in (None, (0.1, 0.1)):
        size = measure(np.zeros(SHAPE, bool), spacing_mm=spacing)
        assert np.isnan([size.long_axis_px, size.short_axis_px, size.long_axis_mm]).all()
        assert (size.area_px, size.num_pieces) == (0, 0)
    assert size.area_mm2 == 0


def test_refuses_labels_volumes_and_pixels_without_size():
    with pytest.raises(ValueError, match="mask must be boolean; got uint8"):
        measure(np.zeros(SHAPE, np.uint8))
    with pytest.raises(ValueError, match="mask must have 2 axes"):
        measure(np.zeros((2, 3, 4), bool))
    with pytest.raises(ValueError, match="spacing_mm must be positive; got 0"):
        measure(np.zeros(SHAPE, bool), spacing_mm=(0.0, 1.0))
