import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from core.metrics.instances import instance_rows, instances, majority, match, overlaps, scores
from core.postprocess.components import components


def row(*lengths):
    """Instances along one line, ids 1, 2, …; negative lengths are gaps."""
    ids, count = [], 0
    for length in lengths:
        count += length > 0
        ids += [count if length > 0 else 0] * abs(length)
    return np.array(ids, np.int32).reshape(1, 1, -1)


def random_ids(seed, num):
    return np.random.default_rng(seed).integers(0, num + 1, (3, 4, 5))


@pytest.mark.parametrize("seed", range(3))
def test_instances_are_the_components_that_touch_at_corners(seed):
    mask = np.random.default_rng(seed).random((6, 7, 8)) < 0.06
    ids, (expected, sizes) = instances(mask, min_voxels=1), components(mask, neighbors=26)
    # Numbers may differ; each of ours is one of theirs and the other way round.
    pairs = set(zip(ids[mask].tolist(), expected[mask].tolist(), strict=True))
    assert len(pairs) == len(sizes) == ids.max()
    assert not ids[~mask].any()
    # In the order of their first voxels, as SciPy numbers them.
    np.testing.assert_array_equal(ids, ndimage.label(mask, np.ones((3, 3, 3)))[0])


def test_small_components_do_not_count_and_the_rest_is_numbered_on():
    mask = row(9, -1, 10, -2, 3, -1, 11) > 0
    np.testing.assert_array_equal(instances(mask, min_voxels=10), row(-10, 10, -6, 11))
    assert not instances(np.zeros((2, 3, 4), bool), min_voxels=1).any()


def test_voxels_that_touch_at_a_corner_are_one_instance():
    mask = np.zeros((2, 2, 2), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert instances(mask, min_voxels=1).max() == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**20), st.integers(0, 5), st.integers(0, 5))
def test_overlaps_are_intersections_over_unions(seed, num_pred, num_true):
    pred, true = random_ids(seed, num_pred), 10 * random_ids(seed + 1, num_true)
    found = overlaps(pred, true)
    for i, p in enumerate(found.pred_ids):
        for j, t in enumerate(found.true_ids):
            expected = ((pred == p) & (true == t)).sum() / ((pred == p) | (true == t)).sum()
            assert found.iou[i, j] == expected
    assert found.pred_ids.tolist() == sorted(set(pred[pred > 0].tolist()))
    assert found.true_voxels.tolist() == [(true == t).sum() for t in found.true_ids]


def one_by_one(iou, min_iou):
    """Greedy matching, by its definition."""
    iou, matched = iou.copy(), np.full(iou.shape[0], -1)
    while iou.size and iou.max() >= min_iou:
        p, t = np.unravel_index(iou.argmax(), iou.shape)  # The first of equal ones.
        matched[p] = t
        iou[p], iou[:, t] = 0, 0
    return matched


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**20), st.integers(0, 6), st.integers(0, 6))
def test_the_highest_overlap_is_paired_first_and_each_instance_once(seed, n, m):
    # Tenths, so that many are equal.
    iou = np.random.default_rng(seed).integers(0, 8, (n, m)) / 10
    np.testing.assert_array_equal(match(iou, min_iou=0.3), one_by_one(iou, 0.3))


def test_a_prediction_over_two_nodes_finds_the_one_it_covers_more_of():
    found = overlaps(row(-1, 9), row(-1, 5, 4))
    np.testing.assert_array_equal(found.iou, [[5 / 9, 4 / 9]])
    assert match(found.iou, min_iou=0.3).tolist() == [0]


def test_of_two_predictions_on_one_node_one_is_false():
    found = overlaps(row(5, 5), row(10))
    np.testing.assert_array_equal(found.iou, [[1 / 2], [1 / 2]])
    assert match(found.iou, min_iou=0.3).tolist() == [0, -1]


def test_the_threshold_itself_finds():
    iou = overlaps(row(3, -7), row(10)).iou
    assert match(iou, min_iou=0.3).tolist() == [0]
    assert match(iou, min_iou=0.31).tolist() == [-1]


def test_rows_of_instances_give_volumes_partners_and_labels():
    pred, true = row(4, -2, 2, -1, 1), 7 * row(5, -3, 2)
    found = overlaps(pred, true)
    rows = instance_rows(found, (2.5, 0.5, 0.4), min_iou=0.3, true_labels=[1, 2])
    mm3 = 2.5 * 0.5 * 0.4
    assert rows == [
        {"side": "pred", "id": 1, "volume_mm3": 4 * mm3, "matched_id": 7, "iou": 4 / 5,
         "label": None},
        {"side": "pred", "id": 2, "volume_mm3": 2 * mm3, "matched_id": None, "iou": 0.0,
         "label": None},
        {"side": "pred", "id": 3, "volume_mm3": 1 * mm3, "matched_id": 14, "iou": 1 / 2,
         "label": None},
        {"side": "true", "id": 7, "volume_mm3": 5 * mm3, "matched_id": 1, "iou": 4 / 5,
         "label": 1},
        {"side": "true", "id": 14, "volume_mm3": 2 * mm3, "matched_id": 3, "iou": 1 / 2,
         "label": 2},
    ]  # fmt: skip


def test_scores_are_of_the_voxels_inside():
    ids, probs = row(2, -1, 3), np.array([[[0.2, 0.4, 1.0, 0.5, 0.6, 0.7]]], np.float32)
    # float32 probabilities, summed in double precision.
    np.testing.assert_allclose(scores(ids, probs, by="mean"), [0.3, 0.6], rtol=1e-6)
    np.testing.assert_array_equal(scores(ids, probs, by="max"), np.float32([0.4, 0.7]))
    assert scores(np.zeros_like(ids), probs, by="mean").shape == (0,)


def test_the_label_of_an_instance_is_that_of_most_of_its_voxels():
    label = np.array([[[0, 0, 1, 2, 2, 1, 1]]])
    assert majority(row(3, 4), label) == [0, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: instances(np.zeros((2, 2), bool), min_voxels=1), "mask must have 3 axes"),
        (lambda: instances(np.zeros((2, 2, 2)), min_voxels=1), "mask.dtype"),
        (lambda: overlaps(row(3), row(4)), "expected equal shapes"),
        (lambda: match(np.ones((1, 1)), min_iou=0), "min_iou must be positive"),
        (lambda: match(np.ones((1, 1)), min_iou=30), r"min_iou must lie in \[0, 1\]"),
        (lambda: scores(row(3), np.zeros((1, 1, 4)), by="max"), "expected equal shapes"),
        (lambda: scores(row(3), np.zeros((1, 1, 3)), by="sum"), "by must be one of"),
        (lambda: majority(row(3), row(4)), "expected equal shapes"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
