"""What a study is of: its recipes, its prepared data and its cases."""

from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path

import pytest

from core import json_io
from core.commands.study import STUDY
from core.commands.study_inputs import choose_recipes, describe, describe_cases, prepared
from core.data.index import Contents, write_index
from tests.refusals import refused

Case = namedtuple("Case", "id patient digest")


@dataclass(frozen=True)
class Split:
    num_folds: int = 5


@dataclass(frozen=True)
class Run:
    steps: int = 10
    epochs: int = 0

    def __post_init__(self) -> None:
        if (self.steps > 0) is (self.epochs > 0):
            raise ValueError("one of steps and epochs")


@dataclass(frozen=True)
class Config:
    run: Run = Run()
    split: Split = Split()


RECIPES = {"a": Config(), "b": Config(Run(20)), "c": Config(split=Split(3))}


def test_recipes_come_in_the_order_asked_for_with_what_is_overridden():
    cfgs = choose_recipes(RECIPES, ["b", "a"], {"split.num_folds": 2}, same=["split"])
    assert list(cfgs) == ["b", "a"]
    assert cfgs["b"] == Config(Run(20), Split(2))


def test_fields_that_go_together_are_overridden_together():
    choices = {"run.steps": 0, "run.epochs": 4}
    assert choose_recipes(RECIPES, ["a"], choices, same=["split"])["a"].run == Run(0, 4)
    with refused(None, "--run.steps: one of steps and epochs"):
        choose_recipes(RECIPES, ["a"], {"run.steps": 0}, same=["split"])


def test_recipes_that_cannot_be_studied_together_are_refused():
    with refused(None, "unknown recipe 'x'; known are a, b, c"):
        choose_recipes(RECIPES, ["a", "x"], {}, same=["split"])
    with refused(None, "a recipe comes twice: a, a"):
        choose_recipes(RECIPES, ["a", "a"], {}, same=["split"])
    with refused(None, "a and c differ in split.num_folds: 5 → 3", hint="--split.* for both"):
        choose_recipes(RECIPES, ["a", "c"], {}, same=["split"])


def test_cases_are_told_by_their_content_and_patients_in_any_order():
    first, second = Case("a", "p", "0"), Case("b", "p", "1")
    described = describe_cases([first, second])
    assert described["num_cases"] == 2
    assert describe_cases([second, first]) == described
    for other in (second._replace(patient="q"), second._replace(digest="2")):
        assert describe_cases([first, other]) != described


@pytest.fixture
def data(tmp_path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def find(data, out) -> Path:
    """As a paper's: data sets are prepared, caches are opened."""
    (given,) = data
    if given.name == "data":
        write_index(out / "prepared" / "name", {given.resolve(): Contents({})})
        return out / "prepared" / "name"
    return given / "name"


def open_(out, data, *, cache=None, one_fold=False, described=None) -> Path:
    described = describe([data], {}) if described is None else described
    return prepared(out, [data], described, cache, find, one_fold=one_fold)


def test_data_sets_are_prepared_once(tmp_path, data):
    out = tmp_path / "out"
    assert open_(out, data) == out / "prepared" / "name"
    before = (out / "prepared" / "name" / "index.json").stat().st_mtime_ns
    assert open_(out, data, one_fold=True) == out / "prepared" / "name"
    assert (out / "prepared" / "name" / "index.json").stat().st_mtime_ns == before


def test_jobs_for_folds_do_not_prepare(tmp_path, data):
    with refused(tmp_path / "out", "nothing is prepared here", hint="give --cache"):
        open_(tmp_path / "out", data, one_fold=True)
    cache = find([data], tmp_path / "cache").parent
    assert open_(tmp_path / "out", data, cache=cache, one_fold=True) == cache / "name"


def test_a_cache_of_other_data_sets_is_refused(tmp_path, data):
    cache = find([data], tmp_path / "cache").parent
    (tmp_path / "other").mkdir()
    with refused(cache / "name", f"was prepared of {data}", hint="--data"):
        open_(tmp_path / "out", tmp_path / "other", cache=cache)
    with refused(cache, "is a cache", hint="give it with --cache"):
        open_(tmp_path / "out", cache)


def test_data_of_another_study_are_not_prepared(tmp_path, data):
    json_io.write_json(tmp_path / "out" / STUDY, describe([tmp_path / "other"], {}))
    with refused(tmp_path / "out" / STUDY, "is of another study: data", hint="choose another"):
        open_(tmp_path / "out", data)
    assert not (tmp_path / "out" / "prepared").exists()
