"""Runs that belong together, and those that do not."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from core.config import to_json
from core.errors import InputError
from core.infer.load import (
    Run,
    held_out,
    load_runs,
    require_folds_of_one_data_set,
    require_same,
    require_same_division,
)
from core.preprocess.appearance import OWN_GRID, Appearance, seen_in
from core.train.run_folder import Division, record_division

DIVISION = Division(0, ("a",), (), ("b",), {"A": "train", "B": "test"}, {})


@dataclass(frozen=True)
class Config:
    width: int = 8


def runs(*divisions, widths=(8, 8)):
    pairs = zip(divisions, widths, strict=True)
    return [Run(Path(f"run{i}"), Config(w), 5, d) for i, (d, w) in enumerate(pairs)]


@pytest.fixture
def folder(tmp_path):
    """A run with one checkpoint of step 7."""
    run = tmp_path / "run"
    (run / "checkpoints" / "7").mkdir(parents=True)
    (run / "checkpoints" / "7" / "_CHECKPOINT_METADATA").write_text("{}")
    (run / "config.json").write_text(to_json(Config(16)))
    record_division(run, DIVISION)
    return run


def test_a_finished_run_tells_its_config_step_and_division(folder):
    (folder / "manifest.json").write_text("{}")
    (run,) = load_runs(Config, [folder], allow_unfinished=False)
    assert run == Run(folder, Config(16), 7, DIVISION)
    assert run.provenance()["step"] == 7


def test_an_unfinished_run_is_refused_unless_allowed(folder):
    with pytest.raises(InputError, match="is not finished: its newest checkpoint is of step 7"):
        load_runs(Config, [folder], allow_unfinished=False)
    assert load_runs(Config, [folder], allow_unfinished=True)[0].step == 7


def test_a_run_without_a_checkpoint_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(to_json(Config()))
    with pytest.raises(InputError, match="holds no complete checkpoint"):
        load_runs(Config, [tmp_path], allow_unfinished=True)


def test_configs_that_differ_where_they_must_not_are_refused():
    require_same(runs(DIVISION, DIVISION), lambda c: c.width, lambda c: f"{c.width}")
    with pytest.raises(InputError, match="was trained on 9, run0 on 8"):
        require_same(
            runs(DIVISION, DIVISION, widths=(8, 9)), lambda c: c.width, lambda c: f"{c.width}"
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fold": 1}, "is of fold 1, run0 of fold 0"),
        ({"train": ("z",)}, "learned from other cases than run0"),
        ({"images": {"Z": "train"}}, "learned from other cases than run0"),
    ],
)
def test_networks_of_one_system_share_fold_and_data(change, message):
    older = DIVISION._replace(scans=None)
    newer = DIVISION._replace(scans=seen_in([Appearance(*[(1.0, 1.0, 1.0)] * 3)], OWN_GRID))
    require_same_division(runs(newer, older))
    with pytest.raises(InputError, match=message):
        require_same_division(runs(DIVISION, DIVISION._replace(**change)))


def test_an_ensemble_is_of_different_folds_of_one_data_set():
    other = DIVISION._replace(fold=1, train=("b",), test=("a",))
    require_folds_of_one_data_set(runs(DIVISION, other))
    with pytest.raises(InputError, match="is a second network of fold 0"):
        require_folds_of_one_data_set(runs(DIVISION, DIVISION))
    with pytest.raises(InputError, match="was trained on another data set than run0"):
        require_folds_of_one_data_set(runs(DIVISION, other._replace(images={"Z": "test"})))


def test_held_out_cases_are_those_of_the_one_division():
    assert held_out(runs(DIVISION, DIVISION)) == ("b",)
    with pytest.raises(InputError, match="held no cases out"):
        held_out(runs(DIVISION._replace(test=()), widths=(8,)))


WIDER = DIVISION._replace(
    train=("a", "c"), test=("b", "d"), images={**DIVISION.images, "C": "train", "D": "test"}
)
"""Of a network that used two cases more of the same data set."""


def test_a_network_may_have_used_fewer_cases_than_another():
    for together in (runs(DIVISION, WIDER), runs(WIDER, DIVISION)):
        assert sorted(held_out(together)) == ["b", "d"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fold": 1}, "is of fold 1, run0 of fold 0"),
        ({"images": {**WIDER.images, "B": "train"}}, "learned from other cases than run0"),
        ({"images": {"Z": "test"}}, "learned from other cases than run0"),
        ({"test": ()}, "held no cases out"),
    ],
)
def test_networks_that_disagree_about_a_case_hold_none_out_together(change, message):
    with pytest.raises(InputError, match=message):
        held_out(runs(DIVISION, WIDER._replace(**change)))


def test_a_case_that_one_network_learned_from_is_not_held_out():
    """As where two data sets have a case of one name."""
    other = WIDER._replace(train=("a", "d"), test=("b", "c"))
    assert held_out(runs(WIDER, other)) == ("b",)
