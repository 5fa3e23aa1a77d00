"""Charts of probabilities: what they show is where the numbers say."""

import io

import numpy as np
import pytest
from PIL import Image

from core.metrics.calibration import CalibrationBin
from core.metrics.net_benefit import net_benefit, net_benefit_of_treating_all
from core.report import style
from core.report.risk import calibrations, decision_curves

CALIBRATED = [CalibrationBin(p, p, 50) for p in (0.1, 0.5, 0.9)]
OVERCONFIDENT = [CalibrationBin(p, (p + 0.5) / 2, 50) for p in (0.7, 0.9)]
TRUTH = np.arange(50) < 20
THRESHOLDS = np.linspace(0.01, 0.95, 60)


def _decisions(**probs):
    curves = {name: net_benefit(values, TRUTH, THRESHOLDS) for name, values in probs.items()}
    treat_all = net_benefit_of_treating_all(TRUTH, THRESHOLDS)
    return decision_curves(curves, thresholds=THRESHOLDS, treat_all=treat_all)


DRAWINGS = {
    "calibrations": lambda: calibrations({"ours": CALIBRATED, "DeepTEN": OVERCONFIDENT}),
    "many_calibrations": lambda: calibrations({f"fold {k}": CALIBRATED for k in range(6)}),
    "no_calibration": lambda: calibrations({"nobody": []}),
    "decision_curves": lambda: _decisions(perfect=TRUTH * 1.0, nobody=TRUTH * 0.0),
    "no_decision_curve": lambda: _decisions(),
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


def test_probabilities_that_say_too_much_lie_below_the_diagonal():
    rows, columns = _places(calibrations({"": OVERCONFIDENT}), style.BLUE)
    inside = rows > 60  # below the legend
    height, width = _pixels(DRAWINGS["calibrations"]()).shape[:2]
    # The axes fill the picture but for labels at the left and below.
    assert (rows[inside] > height - columns[inside] * height / width).mean() > 0.9


def test_intervals_of_more_cases_are_shorter():
    heights = []
    for num in (20, 2000):
        png = calibrations({"": [CalibrationBin(0.5, 0.5, num)]})
        rows, columns = _places(png, style.BLUE)
        heights.append(np.ptp(rows[columns > columns.max() - 10]))
    assert heights[0] > 3 * heights[1]


def test_to_know_the_truth_is_the_prevalence_everywhere():
    png = DRAWINGS["decision_curves"]()
    rows, columns = _places(png, style.BLUE)
    line = np.bincount(rows).argmax()  # the legend has a short one
    assert np.ptp(columns[rows == line]) > 0.8 * _pixels(png).shape[1]
    assert (rows >= line - 3).all()
