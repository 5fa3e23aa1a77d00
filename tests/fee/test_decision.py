"""The answer about a patient: a formula of the slices, whatever their order."""

import numpy as np
import pytest

from fee.config import InferConfig
from fee.decision import NO_SLICE, decide, deciding

MEAN, VOTE = InferConfig(rule="mean"), InferConfig(rule="vote")
PROBS = np.array([0.9, 0.2, 0.4, 0.1])


def test_the_mean_is_compared_with_the_threshold():
    assert decide(PROBS, MEAN) == ("normal", pytest.approx((0.9 + 0.2 + 0.4 + 0.1) / 4), "")
    low = InferConfig(rule="mean", threshold=0.4)
    assert decide(PROBS, low).decision == "tumor"  # exactly at it


def test_a_vote_counts_slices_at_or_above_the_threshold_and_a_tie_is_a_tumor():
    assert decide(PROBS, VOTE) == ("normal", 1 / 4, "")
    assert decide(PROBS, InferConfig(rule="vote", threshold=0.4)) == ("tumor", 2 / 4, "")


@pytest.mark.parametrize("cfg", [MEAN, VOTE])
def test_the_order_of_slices_does_not_matter(cfg):
    assert decide(PROBS, cfg) == decide(PROBS[::-1], cfg)


@pytest.mark.parametrize("cfg", [MEAN, VOTE])
def test_without_a_slice_the_answer_is_normal_and_says_so(cfg):
    assert decide(np.zeros(0), cfg) == ("normal", 0.0, NO_SLICE)


def test_the_slices_that_decided_speak_most_for_the_decision():
    assert deciding(PROBS, "tumor", 2).tolist() == [0, 2]
    assert deciding(PROBS, "normal", 3).tolist() == [3, 1, 2]
    assert deciding(PROBS, "tumor", 9).tolist() == [0, 2, 1, 3]
    assert deciding(np.zeros(0), "tumor", 3).size == 0
