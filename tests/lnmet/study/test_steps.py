"""Steps of a fold and of other data sets: names, what they need, why some are left out."""

from pathlib import Path

import pytest

from core.commands.steps import LeftOut
from core.commands.study import Ended
from lnmet.recipes import RECIPES
from lnmet.status.methods import NODES, NODES_NO_ATTENTION
from lnmet.study import steps
from lnmet.study.answers import SEGMENTED
from lnmet.study.external import external_steps, names_of
from lnmet.study.plan import NETWORKS, Plan, networks, preparations
from lnmet.study.steps import fold_steps
from tests.lnmet.study.test_merge import plan

LACKS = dict.fromkeys(("organs", "pdac", "nodes", "identification", "status"))


def by_name(plan: Plan) -> dict:
    return {step.name: step for step in fold_steps(plan, 0, 0)}


def test_a_fold_has_every_network_after_what_it_needs(tmp_path):
    own = by_name(plan(tmp_path))
    assert set(NETWORKS) < set(own)
    order = list(own)
    for name, step in own.items():
        assert all(order.index(other) < order.index(name) for other in (*step.needs, *step.uses))
    assert own["status"].needs == ["segmented", "identification"]
    assert own["segmented"].needs == ["organs", "nodes"]
    assert own["segmented-no-attention"].needs == ["organs", "nodes-no-attention"]
    assert order[-1] == "answers"
    assert not own["answers"].needs


def test_given_organs_need_no_network(tmp_path):
    own = by_name(plan(tmp_path)._replace(organs=tmp_path / "organs"))
    assert "organs" not in own
    assert own["segmented"].needs == ["nodes"]


def test_a_network_that_nothing_teaches_is_left_out(tmp_path):
    lacking = LACKS | {"identification": "no data set names metastatic lymph nodes"}
    own = by_name(plan(tmp_path)._replace(lacking=lacking))
    with pytest.raises(LeftOut, match="no data set names metastatic lymph nodes"):
        own["identification"].run(tmp_path / "identification")


def test_trainings_are_told_of_the_fold_and_of_the_steps_before(tmp_path, monkeypatch):
    calls = {}

    def train(cfg, data, out, **words):
        calls[out.name] = (cfg, data, words)

    monkeypatch.setattr(steps, "train", train)
    own = plan(tmp_path)._replace(lacking=LACKS)
    for step in fold_steps(own, 1, 2):
        if step.name in NETWORKS:
            step.run(tmp_path / step.name)
    plain = {"fold": 1, "workers": 2, "resume": True, "weights": None, "nodes": ()}
    expected = dict.fromkeys(NETWORKS, plain)
    expected |= {"identification": plain | {"weights": tmp_path / "nodes"}}
    expected |= {"status": plain | {"nodes": [tmp_path / "segmented"]}}
    assert {name: words for name, (_, _, words) in calls.items()} == expected
    for name, (cfg, data, _) in calls.items():
        assert cfg == RECIPES[f"tiny-{name}"]
        assert data == [own.cache]


def test_a_segmentation_asks_the_runs_that_are_there(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        steps, "segment", lambda data, *, runs, out, **words: calls.append((runs, words))
    )
    for name in ("organs", "nodes", "nodes-no-attention"):
        (tmp_path / name).mkdir()
    own = by_name(plan(tmp_path))
    for name in SEGMENTED.values():
        own[name].run(tmp_path / name)
    (tmp_path / "identification").mkdir()
    given = plan(tmp_path)._replace(organs=tmp_path / "organs")
    by_name(given)["segmented"].run(tmp_path / "segmented")
    assert [[run.name for run in runs] for runs, _ in calls] == [
        ["organs", "nodes"],
        ["organs", "nodes-no-attention"],
        ["nodes", "identification"],
    ]
    assert calls[-1][1] == {"organs": tmp_path / "organs", "label_map": "lnmet"}


def test_recipes_are_the_papers_or_the_tiny_ones_with_what_is_overridden():
    assert networks(False, {}) == {name: RECIPES[name] for name in NETWORKS}
    cfgs = networks(True, {"run.steps": 7, "split.num_folds": 3})
    assert {(cfg.run.steps, cfg.split.num_folds) for cfg in cfgs.values()} == {(7, 3)}
    assert preparations(cfgs)[0] == cfgs["status"].prepare
    assert len(preparations(cfgs)) == len(set(map(repr, preparations(cfgs))))


# other hospitals


def test_data_sets_of_one_name_are_told_apart():
    paths = [Path("a/imaging"), Path("b/imaging")]
    assert names_of(paths) == {"1_imaging": paths[0], "2_imaging": paths[1]}


def test_every_fold_answers_about_every_other_data_set(tmp_path):
    folds = [Ended(tmp_path / f"fold_{k}", {}, tuple(SEGMENTED.values())) for k in (0, 1)]
    own = {step.name: step for step in external_steps(plan(tmp_path), [tmp_path / "x"], folds)}
    of_fold = [
        [f"1_x-fold_{k}-segmented", f"1_x-fold_{k}-segmented-no-attention", f"1_x-fold_{k}-answers"]
        for k in (0, 1)
    ]
    assert list(own) == ["1_x-prepared", *of_fold[0], *of_fold[1]]
    assert own["1_x-fold_1-answers"].needs == ["1_x-prepared"]
    assert own["1_x-fold_1-answers"].uses == of_fold[1][:2]
    inputs = str((tmp_path / "x").resolve())
    assert {own[name].inputs for name in own if "answers" not in name} == {inputs}


def test_a_rule_that_a_fold_has_not_is_not_asked_of_others(tmp_path):
    left_out = {SEGMENTED[NODES]: "why"}
    fold = Ended(tmp_path / "fold_0", left_out, tuple(SEGMENTED.values()))
    names = [step.name for step in external_steps(plan(tmp_path), [tmp_path / "x"], [fold])]
    assert f"1_x-fold_0-{SEGMENTED[NODES]}" not in names
    assert f"1_x-fold_0-{SEGMENTED[NODES_NO_ATTENTION]}" in names
