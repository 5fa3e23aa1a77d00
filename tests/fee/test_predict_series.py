"""Slices of a series through three networks, and the answer: a formula of the slices that vote."""

import numpy as np
import pytest

from fee.config import InferConfig
from fee.predict_series import (
    NO_PANCREAS,
    NO_SLICE,
    SLICES_AT_ONCE,
    Stopwatch,
    decide,
    most_telling,
    predict_series,
)
from tests.fee.test_patient import SQUARE, bundle
from tests.fee.tiny import SIZE

MEAN, VOTE = InferConfig(rule="mean"), InferConfig(rule="vote")
PROBS = np.array([0.9, 0.2, 0.4, 0.1])


def test_the_mean_is_compared_with_the_threshold():
    mean = pytest.approx((0.9 + 0.2 + 0.4 + 0.1) / 4)
    assert decide(PROBS, MEAN, num_located=4) == ("normal", mean, "")
    low = InferConfig(rule="mean", threshold=0.4)
    assert decide(PROBS, low, num_located=4).decision == "tumor"  # exactly at it


def test_a_vote_counts_slices_at_or_above_the_threshold_and_a_tie_is_a_tumor():
    assert decide(PROBS, VOTE, num_located=4) == ("normal", 1 / 4, "")
    low = InferConfig(rule="vote", threshold=0.4)
    assert decide(PROBS, low, num_located=4) == ("tumor", 2 / 4, "")


@pytest.mark.parametrize("cfg", [MEAN, VOTE])
def test_the_order_of_slices_does_not_matter(cfg):
    assert decide(PROBS, cfg, num_located=4) == decide(PROBS[::-1], cfg, num_located=4)


@pytest.mark.parametrize("cfg", [MEAN, VOTE])
def test_without_a_vote_the_answer_is_normal_and_the_note_says_why(cfg):
    assert decide(np.zeros(0), cfg, num_located=0) == ("normal", 0.0, NO_SLICE)
    assert decide(np.zeros(0), cfg, num_located=3) == ("normal", 0.0, NO_PANCREAS)


def test_the_slices_that_decided_speak_most_for_the_decision():
    assert most_telling(PROBS, "tumor", 2).tolist() == [0, 2]
    assert most_telling(PROBS, "normal", 3).tolist() == [3, 1, 2]
    assert most_telling(PROBS, "tumor", 9).tolist() == [0, 2, 1, 3]
    assert most_telling(np.zeros(0), "tumor", 3).size == 0


def test_many_slices_are_segmented_in_parts_and_all_of_them():
    image = np.zeros((SLICES_AT_ONCE + 3, SIZE, SIZE), np.uint8)
    sizes = []
    whole = bundle(lambda d: True)
    counted = whole._replace(
        segment=lambda image, mask: sizes.append(len(image)) or whole.segment(image, mask)
    )
    watch = Stopwatch()
    predicted = predict_series(image, counted, watch)
    assert sizes == [SLICES_AT_ONCE, 3]
    np.testing.assert_array_equal(predicted.mask, np.broadcast_to(SQUARE, image.shape))
    assert set(watch) == {"locate", "segment", "diagnose"}


def test_a_located_slice_without_segmented_pancreas_is_not_diagnosed():
    image = np.zeros((4, SIZE, SIZE), np.uint8)
    whole, diagnosed = bundle(lambda d: d > 0), []

    def diagnose(image, mask):
        diagnosed.append(mask)
        return np.full(len(image), 0.75)

    # Of the located slices 1, 2, 3 the second is segmented as empty.
    empty = whole._replace(
        segment=lambda image, mask: np.stack([SQUARE, 0 * SQUARE, SQUARE]), diagnose=diagnose
    )
    predicted = predict_series(image, empty, Stopwatch())
    assert (predicted.located.tolist(), predicted.voting.tolist()) == ([1, 2, 3], [1, 3])
    assert diagnosed[0].any(axis=(1, 2)).all()
    assert predicted.tumor_prob.tolist() == [0.75, 0.75]
