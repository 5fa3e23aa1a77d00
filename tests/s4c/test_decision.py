"""Outliers, the K rule and the score of Sec. 2.3 and 3.3."""

from dataclasses import replace

import numpy as np
import pytest

from core.datasets.pancreas import DUCT, PANCREAS, TUMOR
from s4c.config import DecisionConfig
from s4c.decision import Decision, decide, fused, remove_outliers
from s4c.recipes import RECIPES

CFG = DecisionConfig()


def with_tumor(num_voxels: int, prob: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    label = np.zeros((20, 20, 20), np.uint8)
    label.flat[:num_voxels] = TUMOR
    return label, np.where(label == TUMOR, prob, 0.1)


@pytest.mark.parametrize(
    ("num_voxels", "positive"), [(0, False), (49, False), (50, True), (51, True)]
)
def test_fifty_tumor_voxels_make_a_case(num_voxels, positive):
    assert decide(*with_tumor(num_voxels), CFG).positive is positive


def test_score_is_the_weighted_sum_of_size_and_sureness():
    decision = decide(*with_tumor(300, prob=0.8), CFG)
    assert decision.score == pytest.approx(0.5 * 300 / 1500 + 0.5 * 0.8)
    assert decide(*with_tumor(4000, prob=1.0), CFG).score == pytest.approx(1.0)
    assert decide(*with_tumor(0), CFG).score == 0.0


def test_score_weights_can_be_set():
    decision = decide(*with_tumor(300), replace(CFG, size_weight=1.0))
    assert decision.score == pytest.approx(300 / 1500)


def test_a_component_of_exactly_a_fifth_of_the_largest_is_removed():
    label = np.zeros((30, 10, 10), np.uint8)
    label[0:10] = PANCREAS  # 1000 voxels
    label[12:14] = TUMOR  # 200 voxels, exactly 20 %
    label[20:22, :, :] = TUMOR
    label[22, 0, 0] = PANCREAS  # 201 voxels together: more than 20 %
    cleaned = remove_outliers(label, CFG)
    assert not cleaned[12:14].any()
    np.testing.assert_array_equal(cleaned[20:], label[20:])
    np.testing.assert_array_equal(cleaned[:10], label[:10])


def test_pancreas_and_tumor_touching_by_a_face_are_one_component():
    label = np.zeros((12, 10, 10), np.uint8)
    label[:10] = PANCREAS
    label[10, 0, 0] = TUMOR
    np.testing.assert_array_equal(remove_outliers(label, CFG), label)


def test_voxels_touching_by_an_edge_are_not_neighbours():
    label = np.zeros((12, 10, 10), np.uint8)
    label[:10, 1:] = PANCREAS
    label[10, 0, 0] = TUMOR
    assert remove_outliers(label, CFG)[10, 0, 0] == 0


def test_an_empty_segmentation_stays_empty():
    label = np.zeros((4, 4, 4), np.uint8)
    assert not remove_outliers(label, CFG).any()
    assert not decide(label, np.zeros((4, 4, 4)), CFG).positive


PNET = RECIPES["pnet-venous"].decision


@pytest.mark.parametrize(
    ("num_tumor", "num_duct", "positive"),
    [(39, 0, False), (40, 0, True), (0, 499, False), (0, 500, True), (39, 499, False)],
)
def test_forty_tumor_voxels_or_five_hundred_of_duct_make_a_pnet(num_tumor, num_duct, positive):
    label = np.zeros((20, 20, 20), np.uint8)
    label.flat[:num_tumor] = TUMOR
    label.flat[1000 : 1000 + num_duct] = DUCT
    decision = decide(label, None, PNET)
    assert decision.positive is positive
    # Exactly the scans that the rule calls have a score of at least a half.
    x = max(num_tumor / 40, num_duct / 500)
    assert decision.score == pytest.approx(x / (1 + x))
    assert (decision.score >= 0.5) is positive
    assert (decision.num_tumor_voxels, decision.num_duct_voxels) == (num_tumor, num_duct)


def test_a_duct_is_no_evidence_where_no_rule_asks_for_it():
    label = np.full((10, 10, 10), DUCT, np.uint8)
    decision = decide(label, None, replace(PNET, min_duct_voxels=0))
    assert (decision.positive, decision.score) == (False, 0.0)


def test_confidence_needs_probabilities():
    with pytest.raises(ValueError, match="needs probabilities"):
        decide(np.zeros((4, 4, 4), np.uint8), None, CFG)


def test_a_small_component_nearer_than_27_voxels_stays():
    label = np.zeros((80, 10, 10), np.uint8)
    label[:10] = PANCREAS
    label[9 + 26, 0, 0] = label[9 + 27, 9, 9] = TUMOR
    cleaned = remove_outliers(label, PNET)
    assert cleaned[9 + 26, 0, 0] == TUMOR
    assert cleaned[9 + 27, 9, 9] == 0
    assert not remove_outliers(label, CFG)[10:].any()


def test_either_phase_makes_an_examination_abnormal():
    def decision(positive: bool, score: float) -> Decision:
        return Decision(positive, score, 0, 0, 0)

    yes, no = decision(True, 0.6), decision(False, 0.4)
    assert fused({"arterial": yes, "venous": no}) == "arterial"
    assert fused({"arterial": no, "venous": yes}) == "venous"
    assert fused({"arterial": no, "venous": decision(False, 0.3)}) == "arterial"
    # The rule decides, not the score.
    assert fused({"arterial": decision(False, 0.9), "venous": yes}) == "venous"
