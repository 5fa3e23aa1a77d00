"""A cross-validation of cascades: which networks go together, and the rows of Table 1."""

from dataclasses import replace

import pytest

from s4c.recipes import RECIPES
from s4c.study import PAPER, Networks, Screening, _cascade, _networks, _screenings, _steps
from tests.refusals import refused

CFGS = {name: RECIPES[name] for name in PAPER}


def test_the_rows_of_table_1_are_the_cascade_and_each_of_its_networks():
    assert _screenings(Networks(CFGS, {})) == {
        "screen": Screening(PAPER),
        "screen-pdac-64": Screening(("pdac-64",)),
        "screen-pdac-32": Screening(("pdac-64", "pdac-32"), alone=True),
        "screen-pdac-16": Screening(("pdac-64", "pdac-16"), alone=True),
    }


def test_a_single_network_has_one_row():
    networks = Networks({"pdac-64": CFGS["pdac-64"]}, {})
    assert _screenings(networks) == {"screen": Screening(("pdac-64",))}


def test_a_classifier_has_a_row_beside_the_coarse_network(tmp_path):
    networks = _networks([*PAPER, "classifier"], {"run.steps": 7})
    assert _screenings(networks) == {
        **_screenings(Networks(networks.cascade, {})),
        "screen-classifier": Screening(("pdac-64", "classifier")),
    }
    assert {cfg.run.steps for cfg in networks.cascade.values()} == {7}
    assert networks.classifiers["classifier"].run.steps == 20_000
    steps = {step.name: step for step in _steps(networks, [tmp_path], tmp_path, 0, 0, None)}
    assert steps["classifier"].needs == ("pdac-64",)


@pytest.mark.parametrize("names", [["classifier"], ["pdac-64", "classifier", "tiny-classifier"]])
def test_a_classifier_without_a_cascade_and_two_of_them_are_refused(names):
    with refused(None, names[-1], "make no study", hint="one classifier at most"):
        _networks(names, {})


def test_the_largest_patch_comes_first():
    assert tuple(_cascade(dict(reversed(CFGS.items())))) == PAPER


def test_two_networks_of_one_patch_size_are_refused():
    with refused(None, "pdac-64, again", "[64, 64]"):
        _cascade({"pdac-64": CFGS["pdac-64"], "again": replace(CFGS["pdac-64"])})


@pytest.mark.parametrize("num", [1, 2, 3])
def test_a_screening_needs_the_networks_that_it_asks(tmp_path, num):
    networks = Networks(dict(list(CFGS.items())[:num]), {})
    steps = {step.name: step for step in _steps(networks, [tmp_path], tmp_path, 0, 0)}
    assert list(steps)[:num] == list(networks.cascade)
    for name, row in _screenings(networks).items():
        assert tuple(steps[name].needs) == row.recipes
