"""Counts and Dice against brute force and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from core.metrics.overlap import Counts, confusion_counts, dice, iou, mean_iou


def _masks(seed=0, shape=(5, 6, 7)):
    rng = np.random.default_rng(seed)
    return rng.random(shape) < 0.3, rng.random(shape) < 0.4


def test_counts_are_those_of_scikit_learn():
    pred, true = _masks()
    (tn, fp), (fn, tp) = confusion_matrix(true.ravel(), pred.ravel())
    assert confusion_counts(pred, true) == Counts(tp, fp, fn, tn)


def test_counts_sum_to_the_number_of_entries():
    pred, true = _masks()
    assert sum(confusion_counts(pred, true)) == pred.size


def test_dice_is_the_f1_score_of_voxels():
    pred, true = _masks()
    # Float64 quotients of the same counts.
    assert dice(pred, true) == pytest.approx(f1_score(true.ravel(), pred.ravel()), rel=1e-12)


def test_dice_of_half_overlapping_boxes():
    pred, true = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    pred[:, :2], true[:, 1:3] = True, True
    assert dice(pred, true) == 2 * 4 / (8 + 8)


def test_iou_is_the_jaccard_score_of_pixels_and_a_function_of_dice():
    pred, true = _masks()
    # Float64 quotients of the same counts.
    assert iou(pred, true) == pytest.approx(jaccard_score(true.ravel(), pred.ravel()), rel=1e-12)
    coefficient = dice(pred, true)
    assert iou(pred, true) == pytest.approx(coefficient / (2 - coefficient), rel=1e-12)


def test_mean_iou_is_the_mean_of_both_classes():
    pred, true = _masks()
    expected = (iou(pred, true) + iou(~pred, ~true)) / 2
    assert mean_iou(confusion_counts(pred, true)) == expected


@pytest.mark.parametrize("counts", [Counts(0, 0, 0, 5), Counts(5, 0, 0, 0)])
def test_mean_iou_is_undefined_where_a_class_is_neither_predicted_nor_there(counts):
    assert np.isnan(mean_iou(counts))


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5)])
def test_refuses_masks_of_other_shapes(shape):
    with pytest.raises(ValueError, match=r"pred_mask .* true_mask"):
        dice(np.zeros(shape, bool), np.zeros((3, 3), bool))


def test_refuses_labels_where_masks_belong():
    with pytest.raises(ValueError, match="true_mask must be boolean; got uint8"):
        dice(np.zeros((2, 2), bool), np.full((2, 2), 2, np.uint8))


@pytest.mark.parity
@pytest.mark.parametrize("seed", range(3))
def test_dice_and_iou_are_those_of_monai(seed):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")
    metrics = pytest.importorskip("monai.metrics", reason="MONAI is not installed")
    pred, true = _masks(seed, shape=(16, 17))
    theirs = [torch.tensor(mask[None, None].astype(np.float32)) for mask in (pred, true)]
    near = {"rel": 1e-6}  # float32 quotients
    assert dice(pred, true) == pytest.approx(metrics.compute_dice(*theirs).item(), **near)
    assert iou(pred, true) == pytest.approx(metrics.compute_iou(*theirs).item(), **near)
