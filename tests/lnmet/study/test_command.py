"""The command: what a study is made of, and what is refused before anything is trained."""

from pathlib import Path

import pytest

from core.commands.study import Ended
from lnmet.study import command
from lnmet.study.answers import SEGMENTED
from lnmet.study.command import study
from lnmet.study.plan import NETWORKS
from tests.lnmet.status.phantoms import cases_of
from tests.refusals import refused


@pytest.fixture
def begun(monkeypatch, tmp_path) -> list:
    """Studies that were to be run, over six prepared cases."""
    calls, cases = [], cases_of("+-+-+-")
    monkeypatch.setattr(command, "prepared", lambda *_, **__: tmp_path / "cache" / "grid")
    monkeypatch.setattr(command, "open_cases", lambda folder: cases)
    monkeypatch.setattr(command, "splits_of", lambda folder, own: (own(), None))

    def run(described, out, **words) -> int:
        calls.append((described, out, words))
        return 0

    monkeypatch.setattr(command.studies, "run", run)
    return calls


def test_a_study_is_of_its_data_recipes_and_cases(begun, tmp_path):
    assert study([tmp_path / "data"], tmp_path / "out", tiny=True, fold=1) == 0
    ((own, out, words),) = begun
    assert (out, words) == (tmp_path / "out", {"fold": 1, "merge": False})
    assert own.num_folds == 5
    assert own.described["data"] == [str(tmp_path / "data")]
    assert own.described["num_cases"] == 6
    assert tuple(own.described["recipes"]) == NETWORKS
    assert own.described["options"] == {"organs": None, "label_map": "lnmet"}


def test_overrides_are_of_all_recipes(begun, tmp_path):
    choices = {"split.num_folds": 3, "run.seed": 7}
    study([tmp_path / "data"], tmp_path / "out", tiny=True, choices=choices)
    ((own, *_),) = begun
    assert own.num_folds == 3
    assert {r["run"]["seed"] for r in own.described["recipes"].values()} == {7}


def test_given_organs_stand_instead_of_a_network(begun, tmp_path):
    (tmp_path / "maps").mkdir()
    study([tmp_path / "data"], tmp_path / "out", tiny=True, organs=tmp_path / "maps")
    ((own, *_),) = begun
    assert own.described["options"]["organs"] == str(tmp_path / "maps")
    assert "organs" not in [step.name for step in own.steps(0)]
    with refused(tmp_path / "nowhere", "no such folder"):
        study([tmp_path / "data"], tmp_path / "out", tiny=True, organs=tmp_path / "nowhere")
    with refused(None, "no label map 'unknown'", hint="one of"):
        study(
            [tmp_path / "data"],
            tmp_path / "out",
            tiny=True,
            organs=tmp_path / "maps",
            label_map="unknown",
        )
    assert len(begun) == 1


def test_a_network_that_no_case_teaches_is_known_beforehand(begun, tmp_path, monkeypatch):
    negative = cases_of("------")
    monkeypatch.setattr(command, "open_cases", lambda folder: negative)
    study([tmp_path / "data"], tmp_path / "out", tiny=True)
    ((own, *_),) = begun
    status = next(step for step in own.steps(0) if step.name == "status-no-nodes")
    with pytest.raises(Exception, match="no patient is known to be positive"):
        status.run(tmp_path / "status-no-nodes")


def test_other_data_sets_are_asked_of_all_folds(begun, tmp_path):
    study([tmp_path / "data"], tmp_path / "out", tiny=True, external=[Path("a"), Path("b")])
    ((own, *_),) = begun
    folds = [Ended(tmp_path, {}, tuple(SEGMENTED.values()))] * 2
    names = [step.name for step in own.external(folds)]
    assert [name for name in names if name.endswith("answers")] == [
        f"{number}_{name}-fold_{k}-answers" for number, name in ((1, "a"), (2, "b")) for k in (0, 1)
    ]
