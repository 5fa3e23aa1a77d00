import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.metrics.detection import (
    RATES,
    Candidates,
    Point,
    patient_row,
    precision_at_recall,
    precision_recall_curve,
    surface_row,
)
from core.metrics.instances import match
from core.metrics.rows import summarize

PAPER = {"min_iou": 0.3, "min_voxels": 10}


def boxes(*starts, length=10):
    mask = np.zeros((3, 1, 100), bool)
    for start in starts:
        mask[1, 0, start : start + length] = True
    return mask


def test_rates_are_shares_of_instances_and_of_voxels():
    # Two of three nodes, the second shifted by 5 of 10: 5 / 15 ≥ 0.3; and one false.
    pred, true = boxes(0, 25, 80), boxes(0, 20, 60)
    row = patient_row(pred, true, **PAPER)
    p = r = 2 / 3
    assert row["instance_precision"] == p
    assert row["instance_recall"] == r
    assert row["instance_f"] == pytest.approx(2 * p * r / (p + r))
    assert row["precision"] == row["recall"] == row["dice"] == 15 / 30
    assert (row["num_pred"], row["num_true"], row["num_found"]) == (3, 3, 2)
    assert set(RATES) < set(row)


def test_a_speck_is_no_instance_but_counts_as_voxels():
    speck = boxes(50, length=9)
    row = patient_row(boxes(0) | speck, boxes(0), **PAPER)
    assert row["instance_precision"] == 1
    assert row["precision"] == 10 / 19
    assert patient_row(boxes(0), boxes(0) | speck, **PAPER)["instance_recall"] == 1 / 2


@pytest.mark.parametrize(
    ("pred", "true", "expected"),
    [
        (boxes(0), boxes(), {"precision": 0, "recall": np.nan, "f": np.nan}),
        (boxes(), boxes(), {"precision": np.nan, "recall": np.nan, "f": np.nan}),
        (boxes(), boxes(0), {"precision": np.nan, "recall": 0, "f": 0}),
    ],
    ids=["no_truth", "nothing", "no_prediction"],
)
def test_without_truth_there_is_no_recall(pred, true, expected):
    row = patient_row(pred, true, **PAPER)
    np.testing.assert_equal({k: row[f"instance_{k}"] for k in expected}, expected)
    np.testing.assert_equal([row[k] for k in ("precision", "recall")], [*expected.values()][:2])


def test_means_are_over_the_patients_in_which_a_rate_is_defined():
    rows = [
        patient_row(boxes(0, 20), boxes(0), **PAPER),
        patient_row(boxes(0), boxes(0, 20), **PAPER),
        patient_row(boxes(0), boxes(), **PAPER),
    ]
    summary = summarize(rows, RATES)
    assert summary["instance_precision"] == np.mean([1 / 2, 1, 0])
    assert summary["instance_recall"] == np.mean([1, 1 / 2])
    assert summary["instance_recall_num_undefined"] == 1


def test_distances_of_surfaces_are_in_mm():
    pred, true = np.zeros((9, 5, 5), bool), np.zeros((9, 5, 5), bool)
    pred[1, 2, 2], true[[1, 4], 2, 2] = True, True
    row = surface_row(pred, true, (2.5, 1.0, 1.0))
    assert row == {"asd_mm": (0 + (0 + 7.5) / 2) / 2, "hd_mm": 7.5}


def by_definition(patients, threshold):
    rates = []
    for iou, scores in patients:
        kept = iou[scores >= threshold]
        found = (match(kept, min_iou=0.3) >= 0).sum()
        with np.errstate(invalid="ignore"):
            rates.append(np.float64(found) / np.array(kept.shape))
    return [
        np.mean(v[~np.isnan(v)]) if not np.isnan(v).all() else np.nan for v in np.transpose(rates)
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**20))
def test_the_curve_is_the_means_at_every_threshold(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 5, (3, 2))
    # Few different scores and overlaps, so that many are equal.
    patients = [
        Candidates(rng.integers(0, 8, (n, m)) / 10, rng.integers(0, 4, n) / 4) for n, m in sizes
    ]
    curve = precision_recall_curve(patients, min_iou=0.3)
    assert [p.threshold for p in curve] == sorted({s for c in patients for s in c.scores})[::-1]
    for point in curve:
        np.testing.assert_allclose(point[1:], by_definition(patients, point.threshold), rtol=1e-12)


def test_what_a_threshold_leaves_is_matched_anew():
    # Both predictions cover the node; the better one has the lower score.
    patient = Candidates(np.array([[0.6], [0.4]]), np.array([0.5, 0.9]))
    curve = precision_recall_curve([patient], min_iou=0.3)
    assert curve == [Point(0.9, 1.0, 1.0), Point(0.5, 0.5, 1.0)]


def test_precision_at_a_recall_is_the_best_that_reaches_it():
    curve = [Point(0.9, 0.5, 0.2), Point(0.7, 0.6, 0.5), Point(0.5, 0.4, 0.5), Point(0.1, 0.1, 0.9)]
    assert precision_at_recall(curve, 0.2) == 0.6
    assert precision_at_recall(curve, 0.5) == 0.6
    assert precision_at_recall(curve, 0.6) == 0.1
    assert np.isnan(precision_at_recall(curve, 0.95))
    assert np.isnan(precision_at_recall([], 0.0))
    assert np.isnan(precision_at_recall([Point(0.5, 0.0, np.nan)], 0.5))
    with pytest.raises(ValueError, match="recall must lie in"):
        precision_at_recall(curve, 80)


def test_without_predictions_there_is_no_curve():
    assert precision_recall_curve([Candidates(np.zeros((0, 2)), np.zeros(0))], min_iou=0.3) == []
    assert precision_recall_curve([], min_iou=0.3) == []
