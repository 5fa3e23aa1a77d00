"""A cross-validation of cascades: which networks go together, and the rows of Table 1."""

from dataclasses import replace

import pytest

from s4c.recipes import RECIPES
from s4c.study import PAPER, Screening, _cascade, _screenings, _steps
from tests.refusals import refused

CFGS = {name: RECIPES[name] for name in PAPER}


def test_the_rows_of_table_1_are_the_cascade_and_each_of_its_networks():
    assert _screenings(CFGS) == {
        "screen": Screening(PAPER),
        "screen-pdac-64": Screening(("pdac-64",)),
        "screen-pdac-32": Screening(("pdac-64", "pdac-32"), alone=True),
        "screen-pdac-16": Screening(("pdac-64", "pdac-16"), alone=True),
    }


def test_a_single_network_has_one_row():
    assert _screenings({"pdac-64": CFGS["pdac-64"]}) == {"screen": Screening(("pdac-64",))}


def test_the_largest_patch_comes_first():
    assert tuple(_cascade(dict(reversed(CFGS.items())))) == PAPER


def test_two_networks_of_one_patch_size_are_refused():
    with refused(None, "pdac-64, again", "[64, 64]"):
        _cascade({"pdac-64": CFGS["pdac-64"], "again": replace(CFGS["pdac-64"])})


@pytest.mark.parametrize("num", [1, 2, 3])
def test_a_screening_needs_the_networks_that_it_asks(tmp_path, num):
    cfgs = dict(list(CFGS.items())[:num])
    steps = {step.name: step for step in _steps(cfgs, [tmp_path], tmp_path, 0, 0)}
    assert list(steps)[:num] == list(cfgs)
    for name, row in _screenings(cfgs).items():
        assert tuple(steps[name].needs) == row.recipes
