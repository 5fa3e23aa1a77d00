"""Measures of one picture, each by its formula."""

import numpy as np
import pytest

from eusdaf.evaluate import measures
from eusdaf.evaluation_page import MEASURES
from tests.eusdaf.evaluate.drawn import DIAGONAL, EMPTY, PRED, SIDE, TRUTH, square


def test_a_perfect_mask_has_no_distance():
    values = measures(TRUTH["a"], TRUTH["a"])
    assert {name: values[name] for name in MEASURES} == {
        **dict.fromkeys(("dsc", "iou", "sensitivity", "specificity", "precision"), 1.0),
        **dict.fromkeys(("avd", "hd", "mad"), 0.0),
    }
    assert values["success"]


def test_every_measure_of_a_shifted_square_is_its_formula():
    true, pred = TRUTH["b"], PRED["b"]
    both, area = 80 * 100, 100 * 100
    values = measures(pred, true)
    assert values["dsc"] == 2 * both / (2 * area)
    assert values["iou"] == both / (2 * area - both)
    assert values["sensitivity"] == values["precision"] == both / area
    assert values["specificity"] == 1 - (area - both) / (SIDE**2 - area)
    # By definition, point by point; both ways alike, for one square is the other one mirrored.
    places = [np.argwhere(m & ~_eroded(m)) for m in (pred, true)]
    apart = np.sqrt(((places[0][:, None] - places[1][None]) ** 2).sum(-1)).min(axis=1)
    assert values["hd"] == apart.max() == 20
    assert values["avd"] == pytest.approx(apart.mean(), rel=1e-12)
    assert values["mad"] == pytest.approx(apart.mean(), rel=1e-12)
    assert values["success"]  # 8000 / 12000 > 0.5


def _eroded(mask: np.ndarray) -> np.ndarray:
    inside = mask.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inside &= np.roll(mask, step, axis)  # no mask here touches the border
    return inside


def test_a_missed_lesion_is_as_far_as_the_diagonal_and_has_no_precision():
    values = measures(EMPTY, TRUTH["c"])
    assert (values["dsc"], values["iou"], values["sensitivity"]) == (0, 0, 0)
    assert values["avd"] == values["hd"] == values["mad"] == DIAGONAL
    assert DIAGONAL == pytest.approx(362.04, abs=0.005)
    assert np.isnan(values["precision"])
    assert (values["predicted"], values["success"]) == (False, False)


@pytest.mark.parametrize("pred", [PRED["d"], EMPTY], ids=["false alarm", "nothing"])
def test_without_a_lesion_all_but_the_specificity_is_undefined(pred):
    values = measures(pred, EMPTY)
    assert values["specificity"] == 1 - pred.sum() / SIDE**2
    assert values["predicted"] == pred.any()
    undefined = [*(name for name in MEASURES if name != "specificity"), "success"]
    assert all(np.isnan(values[name]) for name in undefined)


def test_exactly_half_an_overlap_is_no_success():
    half = square(50, 150)
    half[50:100] = False
    assert measures(half, square(50, 150))["iou"] == 0.5
    assert not measures(half, square(50, 150))["success"]
