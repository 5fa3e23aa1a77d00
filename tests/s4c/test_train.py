"""Who a network learns from, and who it is judged on."""

import json
from dataclasses import replace

import pytest

from core.errors import InputError
from core.train.config import RunConfig
from s4c.config import SplitConfig
from s4c.data import batch_maker
from s4c.demo import write_phantoms
from s4c.prepare import find_cache, folds, open_cases
from s4c.recipes import RECIPES
from s4c.train import train

TINY = replace(
    RECIPES["tiny-16"],
    run=RunConfig(steps=1, log_every=1),
    split=SplitConfig(num_folds=3),
    model=replace(RECIPES["tiny-16"].model, width=2),
)
TINY = replace(TINY, data=replace(TINY.data, batch=3))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Six patients, three of them with a tumor."""
    root = tmp_path_factory.mktemp("s4c")
    write_phantoms(root / "data", num_cases=6, seed=0, spacing_mm=8.0)
    find_cache([root / "data"], TINY.prepare, root)
    return root / "prepared"


@pytest.fixture
def learned(monkeypatch):
    """Ids of the cases that patches are drawn from."""
    ids = []

    def watched(cases, *args, **kwargs):
        ids.extend(case.id for case in cases)
        return batch_maker(cases, *args, **kwargs)

    monkeypatch.setattr("s4c.train.batch_maker", watched)
    return ids


def test_a_fold_trains_on_its_cases_and_is_judged_on_the_others(cache, tmp_path, learned):
    fold = 2
    train(TINY, [cache], tmp_path, fold=fold)
    cases = open_cases(find_cache([cache], TINY.prepare, tmp_path))
    split = folds(cases, TINY.split)[fold]
    assert sum(case.is_abnormal for case in cases if case.id in split.test) == 1
    assert tuple(learned) == split.train
    lines = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    (rows,) = (line["rows"] for line in lines if "rows" in line)
    assert tuple(row["id"] for row in rows) == split.test
    division = json.loads((tmp_path / "folds.json").read_text())
    assert (division["fold"], division["val"]) == (fold, [])
    assert (tuple(division["train"]), tuple(division["test"])) == (split.train, split.test)
    parts = {case.id: division["images"][case.digest] for case in cases}
    assert parts == dict.fromkeys(split.train, "train") | dict.fromkeys(split.test, "test")


def test_without_a_fold_every_case_is_learned_from_and_none_is_judged(
    cache, tmp_path, learned, monkeypatch
):
    tasks = []
    monkeypatch.setattr("core.commands.train.fit", lambda task, *_, **__: tasks.append(task))
    monkeypatch.setattr("core.commands.train.finish_run", lambda *_, **__: None)
    train(TINY, [cache], tmp_path)
    assert len(set(learned)) == 6
    assert [task.evaluate for task in tasks] == [None]
    division = json.loads((tmp_path / "folds.json").read_text())
    assert (division["fold"], division["train"], division["test"]) == (None, learned, [])


def test_a_fold_that_does_not_exist_is_refused(cache, tmp_path):
    with pytest.raises(InputError, match="fold 3 does not exist"):
        train(TINY, [cache], tmp_path / "run", fold=3)
