"""Tiles and curves that every evaluation shows."""

import pytest

from core.metrics.intervals import Interval
from core.report.evaluation import metric_tiles, roc_figures, summary_mean_sd
from core.report.html import Tile

NAN = float("nan")


def test_defined_metrics_have_tiles_with_their_intervals():
    summary = {"auc": 0.5, "auc_ci": Interval(0.25, 0.75), "f1": NAN, "f1_ci": Interval(NAN, NAN)}
    summary |= {"dsc": 1.0, "dsc_ci": Interval(NAN, NAN), "area": 0.125}
    titles = {"dsc": "DSC", "f1": "F1", "iou": "IoU", "auc": "AUC", "area": "area"}
    assert metric_tiles(summary, titles) == [
        Tile("DSC", "1.000", "no interval"),
        Tile("AUC", "0.500", "95 % CI 0.250–0.750"),
        Tile("area", "0.125"),
    ]


@pytest.mark.parametrize(("truth", "num"), [([1, 0, 0], 1), ([1, 1, 1], 0), ([0, 0], 0), ([], 0)])
def test_a_roc_curve_needs_both_classes(truth, num):
    rows = [{"score": 0.5, "sick": bool(value)} for value in truth]
    summary = {"auc": 0.5, "auc_ci": Interval(NAN, NAN)}
    assert len(roc_figures("ROC", rows, "sick", summary, {"here": (0.5, 0.5)})) == num


def test_a_column_that_was_not_summarized_is_undefined():
    assert summary_mean_sd({"dsc": 0.5, "dsc_sd": 0.25}, "dsc") == "50.00 ± 25.00 %"
    assert summary_mean_sd({}, "dsc") == "–"
