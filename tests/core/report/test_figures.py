"""Charts are PNGs of the right size that do not depend on when they are drawn."""

import io

import numpy as np
import pytest
from PIL import Image

from core.metrics.classification import auc, roc_curve
from core.metrics.intervals import Interval, delong_interval
from core.report import figures, style
from core.report.learning import learning_curves

RECORDS = [{"step": i, "loss": 1 / (i + 1), "dice": None if i % 2 else 0.5} for i in range(200)]
ROWS = [
    {"id": "a", "dsc": 0.8, "ml": 3.0},
    {"id": "b", "dsc": 0.0, "ml": 0.5},
    {"id": "c", "dsc": float("nan"), "ml": 1.0},
    {"id": "d", "error": "unreadable"},
]


def _pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _roc(interval):
    scores, is_positive = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    return figures.roc(
        roc_curve(scores, is_positive),
        area=auc(scores, is_positive),
        interval=interval or delong_interval(scores, is_positive),
        marks={"K = 50, here": (0.5, 1.0), "K = 50, paper": (128 / 136, 197 / 200)},
    )


DRAWINGS = {
    "roc": lambda: _roc(None),
    "roc_without_interval": lambda: _roc(Interval(np.nan, np.nan)),
    "learning_curves": lambda: learning_curves(RECORDS, ["loss", "dice"]),
    "one_record": lambda: learning_curves(RECORDS[:1], ["loss"]),
    "validation": lambda: learning_curves(
        [*RECORDS, {"step": 2, "evaluation": {"loss": 0.4, "tumor_dsc": 0.5}}], ["loss"]
    ),
    "no_record": lambda: learning_curves([], ["loss"]),
    "overlap": lambda: figures.overlap_by_size(ROWS, overlap="dsc", size_ml="ml", label="DSC"),
    "no_case": lambda: figures.overlap_by_size([], overlap="dsc", size_ml="ml", label="DSC"),
}


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS.keys())
def test_same_drawing_gives_the_same_bytes_and_is_not_blank(draw):
    png = draw()
    assert png == draw()
    assert _pixels(png).std() > 0


def test_validation_is_drawn_over_training_and_its_own_values_beside_it():
    evaluation = {"step": 2, "evaluation": {"loss": 0.4, "tumor_dsc": 0.5}}
    alone, both = (
        _pixels(learning_curves(records, ["loss"])) for records in (RECORDS, [*RECORDS, evaluation])
    )
    assert both.shape[1] > 1.5 * alone.shape[1]
    orange = list(bytes.fromhex(style.ORANGE[1:]))
    left, right = np.array_split(both, 2, axis=1)
    for panel in (left, right):
        assert orange in panel.reshape(-1, 3).tolist()
    assert orange not in alone.reshape(-1, 3).tolist()


def test_operating_points_are_marked_in_their_colors():
    colors = _pixels(_roc(None)).reshape(-1, 3).tolist()
    for color in (style.ORANGE, style.PURPLE):
        assert list(bytes.fromhex(color[1:])) in colors


def test_a_missed_case_is_marked():
    rows = [{**row, "dsc": 0.8} for row in ROWS[:2]]
    orange = list(bytes.fromhex(style.ORANGE[1:]))
    kind = {"overlap": "dsc", "size_ml": "ml", "label": "DSC"}
    assert orange in _pixels(figures.overlap_by_size(ROWS, **kind)).reshape(-1, 3).tolist()
    assert orange not in _pixels(figures.overlap_by_size(rows, **kind)).reshape(-1, 3).tolist()


def test_large_cohorts_keep_a_readable_width():
    rows = [{"id": str(i), "dsc": 0.5, "ml": i + 1.0} for i in range(136)]
    png = figures.overlap_by_size(rows, overlap="dsc", size_ml="ml", label="DSC")
    assert _pixels(png).shape[1] == 11 * style.DPI
