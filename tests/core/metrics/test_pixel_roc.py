"""Pooled pixels against the same scores kept one by one, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from core.metrics import classification, pixel_roc

SHAPE = (40, 50)


def _images(num=3, dtype=np.float16):
    rng = np.random.default_rng(0)
    masks = rng.random((num, *SHAPE)) < 0.2
    return (3 * rng.normal(size=masks.shape) + 2 * masks).astype(dtype), masks


def _pool(scores, masks):
    return pixel_roc.pool(map(pixel_roc.histogram, scores, masks))


def test_half_precision_scores_give_the_exact_curve_and_area():
    scores, masks = _images()
    pixels, flat = _pool(scores, masks), (scores.ravel().astype(float), masks.ravel())
    roc, expected = pixel_roc.points(pixels), classification.roc_curve(*flat)
    assert [p.threshold for p in roc] == [p.threshold for p in expected]
    # Counts over counts, in another order of operations.
    np.testing.assert_allclose(roc, expected, rtol=0, atol=1e-15)
    assert pixel_roc.area(pixels) == pytest.approx(classification.auc(*flat), rel=1e-12)
    assert pixel_roc.area(pixels) == pytest.approx(roc_auc_score(*flat[::-1]), rel=1e-12)
    alarms, hits, _ = roc_curve(*flat[::-1], drop_intermediate=False)
    np.testing.assert_allclose([1 - p.specificity for p in roc], alarms, rtol=0, atol=1e-15)
    np.testing.assert_allclose([p.sensitivity for p in roc], hits, rtol=0, atol=1e-15)


def test_every_finite_half_precision_number_has_a_bin_of_its_own_in_order():
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    every = np.unique(every[np.isfinite(every)])  # unique takes −0 for 0
    truth = np.arange(every.size) % 3 == 0
    pixels = pixel_roc.histogram(every, truth)
    assert max(pixels.num_positive.max(), pixels.num_negative.max()) == 1
    assert pixels.num_positive.sum() == truth.sum()
    thresholds = [p.threshold for p in pixel_roc.points(pixels)[1:]]
    np.testing.assert_array_equal(thresholds, every[::-1].astype(float))


def test_minus_zero_is_zero():
    pixels = pixel_roc.histogram(np.array([0.0, -0.0]), np.array([True, False]))
    assert pixel_roc.area(pixels) == 1 / 2


@pytest.mark.parametrize("spread", [1.0, 1e-3])
def test_the_area_of_other_scores_is_off_by_no_more_than_its_bound(spread):
    scores, masks = _images(dtype=np.float64)
    scores = 1 + spread * scores  # around 1, neighbors in float16 are 1/1024 apart
    pixels = _pool(scores, masks)
    exact, bound = classification.auc(scores.ravel(), masks.ravel()), pixel_roc.area_error(pixels)
    assert abs(pixel_roc.area(pixels) - exact) <= bound + 1e-15
    # Rounding must matter in the crowded case, else the bound is not tested.
    assert (bound > 1e-2) == (spread < 1)


def test_scores_beyond_half_precision_are_the_largest():
    pixels = pixel_roc.histogram(np.array([1e9, -1e9, 7e4]), np.array([True, False, False]))
    assert pixel_roc.area(pixels) == 3 / 4
    assert [p.threshold for p in pixel_roc.points(pixels)] == [np.inf, 65504.0, -65504.0]


def test_pooling_is_counting_all_at_once():
    scores, masks = _images()
    for pooled, once in zip(_pool(scores, masks), pixel_roc.histogram(scores, masks), strict=True):
        np.testing.assert_array_equal(pooled, once)


@pytest.mark.parametrize("value", [True, False])
def test_one_class_has_no_area_and_no_curve(value):
    pixels = pixel_roc.histogram(np.zeros(SHAPE), np.full(SHAPE, value))
    assert np.isnan(pixel_roc.area(pixels))
    assert np.isnan(pixel_roc.area_error(pixels))
    with pytest.raises(ValueError, match="positive and negative pixels; got"):
        pixel_roc.points(pixels)


def test_no_image_has_no_pixel():
    assert sum(counts.sum() for counts in pixel_roc.pool([])) == 0


def test_refuses_what_cannot_be_counted():
    with pytest.raises(ValueError, match=r"scores .* true_mask"):
        pixel_roc.histogram(np.zeros(3), np.zeros(4, bool))
    with pytest.raises(ValueError, match="true_mask must be boolean; got uint8"):
        pixel_roc.histogram(np.zeros(3), np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="scores must be finite; got nan"):
        pixel_roc.histogram(np.array([0, np.nan]), np.zeros(2, bool))
