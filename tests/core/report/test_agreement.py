"""Charts of decisions: cells and bars are where the counts say."""

import io

import numpy as np
import pytest
from PIL import Image

from core.metrics.overlap import Counts
from core.report import style
from core.report.agreement import confusion_matrix, shares_by_group

NAMES = {"positive": "tumor", "negative": "normal"}
LABELS = {"label": "Accuracy", "average_name": "average"}
DRAWINGS = {
    "matrix": lambda: confusion_matrix(Counts(230, 25, 35, 57), **NAMES),
    "empty_matrix": lambda: confusion_matrix(Counts(0, 0, 0, 0), **NAMES),
    "shares": lambda: shares_by_group({"PDAC": (9, 10), "SCN": (0, 0)}, average=0.8, **LABELS),
    "no_group": lambda: shares_by_group({}, average=np.nan, **LABELS),
}


def _pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def _count(png, color):
    return int((_pixels(png) == list(bytes.fromhex(color[1:]))).all(-1).sum())


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS.keys())
def test_same_drawing_gives_the_same_bytes_and_is_not_blank(draw):
    png = draw()
    assert png == draw()
    assert _pixels(png).std() > 0


def test_a_perfect_answer_fills_the_diagonal_alone():
    pixels = _pixels(confusion_matrix(Counts(3, 0, 0, 5), **NAMES))
    full = (pixels == list(bytes.fromhex(style.BLUE[1:]))).all(-1)
    rows, columns = np.nonzero(full)
    middle = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    # Upper left: normal cases called normal; lower right: tumors called tumors.
    assert ((rows < middle[0]) == (columns < middle[1])).all()


def test_a_bar_is_as_high_as_its_share():
    half, whole = (
        _count(shares_by_group({"a": counts}, average=np.nan, **LABELS), style.BLUE)
        for counts in ((500, 1000), (1000, 1000))
    )
    # The interval's line covers a little of either.
    assert half / whole == pytest.approx(0.5, abs=0.03)


def test_groups_without_cases_are_left_out_and_the_average_is_a_line():
    points = {"a": (1, 2)}
    with_empty = shares_by_group(points | {"b": (0, 0)}, average=np.nan, **LABELS)
    assert with_empty == shares_by_group(points, average=np.nan, **LABELS)
    assert _count(with_empty, style.ORANGE) == 0
    assert _count(shares_by_group(points, average=0.8, **LABELS), style.ORANGE) > 50
