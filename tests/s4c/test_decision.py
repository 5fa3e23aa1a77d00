"""Outliers, the K rule and the score of Sec. 2.3 and 3.3."""

from dataclasses import replace

import numpy as np
import pytest

from core.datasets.pancreas import PANCREAS, TUMOR
from s4c.config import DecisionConfig
from s4c.decision import decide, remove_outliers

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
