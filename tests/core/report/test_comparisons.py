"""Charts that compare: what they show is where the numbers say."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from core.metrics.classification import OperatingPoint
from core.metrics.precision_recall import PrecisionRecall
from core.report import comparisons, style
from core.report.comparisons import (
    Boxes,
    PrecisionRecalls,
    Roc,
    box_plots,
    precision_recalls,
    rocs,
)
from core.report.learning import fold_curves

RNG = np.random.default_rng(0)
CHANCE = [OperatingPoint(np.inf, 0.0, 1.0), OperatingPoint(0.0, 1.0, 0.0)]
CORNER = [CHANCE[0], OperatingPoint(0.5, 1.0, 1.0), CHANCE[1]]
EVERYBODY = [PrecisionRecall(0.0, 0.3, 1.0)]
PERFECT = [PrecisionRecall(0.5, 1.0, 1.0), *EVERYBODY]
STAGES = {"T1": RNG.beta(8, 2, 33), "T2": np.append(RNG.beta(8, 2, 30), np.nan), "T3": []}
FOLDS = {f"fold {k}": [{"step": i, "loss": 8 / (i + 1) + k} for i in range(100)] for k in range(5)}
DRAWINGS = {
    "rocs": lambda: rocs({"DAF-Net": Roc(CORNER, 1.0), "U-Net": Roc(CHANCE, 0.5)}),
    "no_curve": lambda: rocs({}),
    "undefined_area": lambda: rocs({"DAF-Net": Roc(CHANCE, np.nan)}),
    "precision_recalls": lambda: precision_recalls(
        {"DAF-Net": PrecisionRecalls(PERFECT, 1.0), "U-Net": PrecisionRecalls(EVERYBODY, 0.3)},
        prevalence=0.3,
    ),
    "undefined_average": lambda: precision_recalls(
        {"DAF-Net": PrecisionRecalls(EVERYBODY, np.nan)}, prevalence=0.3
    ),
    "many_lines": lambda: rocs({f"fold {k}": Roc(CORNER, 1.0) for k in range(6)}),
    "box_plots": lambda: box_plots([Boxes("DSC", STAGES, "p = 0.98"), Boxes("IoU", STAGES)]),
    "no_group": lambda: box_plots([Boxes("DSC", {})]),
    "folds": lambda: fold_curves(FOLDS, ["loss"]),
    "no_fold": lambda: fold_curves({}, ["loss"]),
}


def _pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def _places(png, color):
    """Rows and columns of pixels of exactly this color."""
    return np.nonzero((_pixels(png) == list(bytes.fromhex(color[1:]))).all(-1))


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS.keys())
def test_same_drawing_gives_the_same_bytes_and_is_not_blank(draw):
    png = draw()
    assert png == draw()
    assert _pixels(png).std() > 0


def test_the_better_curve_lies_above_the_other():
    png = DRAWINGS["rocs"]()
    better, worse = (_places(png, color)[0] for color in (style.BLUE, style.ORANGE))
    assert np.median(better) < np.median(worse)


def test_precision_is_drawn_in_steps_that_reach_back_to_lower_recall():
    """At recall 1 precision falls to the prevalence; half way it is still that of the threshold."""
    png = DRAWINGS["precision_recalls"]()
    rows, columns = _places(png, style.BLUE)
    right = columns > columns.max() - 4
    # The first line lies along the top, and comes down at the right alone.
    assert np.ptp(rows[right]) > 300
    legend = rows.max() - 200
    assert np.ptp(rows[~right & (rows < legend)]) < 8
    assert np.median(_places(png, style.ORANGE)[0]) > np.median(rows)


def test_names_of_many_lines_stand_beside_the_axes():
    few, many = (
        _pixels(rocs({f"fold {k}": Roc(CORNER, 1.0) for k in range(num)})) for num in (5, 6)
    )
    assert few.shape[1] == pytest.approx(5.4 * style.DPI, abs=1)
    assert many.shape[1] > 8 * style.DPI


def test_twenty_lines_are_told_apart():
    looks = list(itertools.islice(style.line_looks(), 21))
    assert len({(look["color"], look["linestyle"]) for look in looks}) == 20
    assert looks[20] == looks[0]


def test_outliers_are_red_stars_and_there_are_none_without_outliers():
    even = np.linspace(0.6, 0.9, 20)
    red = [
        _places(box_plots([Boxes("DSC", {"T1": values})]), comparisons.RED)[0]
        for values in (even, [*even, 0.05])
    ]
    # The median is one line; the star lies far below it.
    assert np.ptp(red[0]) < 10
    assert np.ptp(red[1]) > 200
    assert np.median(red[0]) == pytest.approx(np.median(red[1]), abs=20)


def test_undefined_values_are_left_out():
    with_nan, without = {"T2": [0.5, 0.7, np.nan]}, {"T2": [0.5, 0.7]}
    assert box_plots([Boxes("DSC", with_nan)]) == box_plots([Boxes("DSC", without)])


def test_every_fold_has_a_color_of_its_own():
    png = DRAWINGS["folds"]()
    for color in (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.INK):
        assert _places(png, color)[0].size > 100
