"""Tables VI and VII of hand-made folds: pooled, averaged, of an ensemble, and on a page."""

import re
from pathlib import Path

import pytest

from core import json_io
from core.commands.study import Ended
from core.train.run_folder import Division
from lnmet.evaluate import compare, summarize_segmentation
from lnmet.identification.metrics import summarize_identification
from lnmet.node_evaluation import COMPARED
from lnmet.status.methods import NODES, OURS, RADIOMICS
from lnmet.study import merge
from lnmet.study.answers import FILE, SEGMENTED
from lnmet.study.external import answers_of, names_of
from lnmet.study.merge import merge_folds
from lnmet.study.plan import Plan, networks
from lnmet.study.steps import ANSWERS, IDENTIFIED
from tests.lnmet.identification.test_metrics import ROWS as NODES_OF_TWO_FOLDS
from tests.lnmet.status.test_measures import row
from tests.lnmet.test_evaluate import row as segmented
from tests.lnmet.tiny import phantoms

LEFT_OUT = {name: "no node is named" for name in (*SEGMENTED.values(), IDENTIFIED)}


def plan(root: Path) -> Plan:
    cfgs = networks(True, {})
    return Plan([root / "data"], root / "cache", cfgs, None, "lnmet", root / "radiomics", {})


def ended(path: Path, answers: dict[str, dict], left_out: dict[str, str]) -> Ended:
    """Steps whose answers were written by hand."""
    for step, content in answers.items():
        json_io.write_json(path / step / FILE, content)
    return Ended(path, left_out, (*answers, *left_out))


def answers(*rows: dict, **thresholds: float) -> dict:
    return {"thresholds": {OURS: 0.5, NODES: 100.0} | thresholds, "rows": list(rows)}


@pytest.fixture
def merged(tmp_path, capsys) -> dict:
    """Two folds that hold two cases out each, and two cases of another hospital."""
    phantoms(tmp_path / "data", num_cases=1)
    folds = [
        ended(
            tmp_path / "fold_0",
            {
                ANSWERS: answers(
                    row(0, True, {OURS: 0.9, NODES: 150.0}, part="test"),
                    row(1, False, {OURS: 0.2, NODES: 120.0}, part="test"),
                    row(2, True, {OURS: 0.1, NODES: 0.0}, part="val"),
                )
            },
            LEFT_OUT | {"radiomics": "PyRadiomics is not installed"},
        ),
        ended(
            tmp_path / "fold_1",
            {
                ANSWERS: answers(
                    row(2, True, {OURS: 0.4, NODES: 130.0}, part="test"),
                    row(3, False, {OURS: 0.6}, part="test"),
                )
            },
            LEFT_OUT,
        ),
    ]
    external = [tmp_path / "other"]
    (name,) = names_of(external)
    others = ended(
        tmp_path / "external",
        {
            answers_of(name, 0): answers(
                row(7, True, {OURS: 0.4, RADIOMICS: 0.9}), row(8, False, {OURS: 0.1})
            ),
            answers_of(name, 1): answers(
                row(7, True, {OURS: 0.8}), row(8, False, {OURS: 0.3}), **{OURS: 0.7}
            ),
        },
        {},
    )
    (tmp_path / "merged").mkdir()
    merge_folds(plan(tmp_path), external, folds, others, tmp_path / "merged")
    metrics = json_io.read_json(tmp_path / "merged" / "metrics.json")
    page = (tmp_path / "merged" / "report.html").read_text()
    return {"metrics": metrics, "page": page, "printed": capsys.readouterr().out}


def test_table_6_is_of_what_each_fold_held_out(merged):
    status = merged["metrics"]["status"]
    assert [(r["id"], r["fold"]) for r in status["rows"]] == [
        *[("0", 0), ("1", 0), ("2", 1), ("3", 1)]
    ]
    nodes, ours = status["methods"]
    assert (nodes["method"], ours["method"]) == (NODES, OURS)
    # The first fold is right twice, the second never.
    assert (ours["num_cases"], ours["accuracy"], ours["auc"]) == (4, 1 / 2, 3 / 4)
    assert (ours["balanced_accuracy"], ours["balanced_accuracy_of_folds"]) == (1 / 2, 1 / 2)
    assert ours["auc_of_folds"] == (1 + 0) / 2
    # Three cases are answered, and all called positive.
    assert (nodes["num_cases"], nodes["sensitivity"], nodes["specificity"]) == (3, 1, 0)
    (comparison,) = status["comparisons"]
    assert comparison["name"] == NODES
    # On the three cases of both: ours is at (1/2 + 1) / 2, nodes alone at 1/2.
    assert comparison["balanced_accuracy_difference"] == pytest.approx(3 / 4 - 1 / 2)


def test_table_7_is_of_the_mean_of_the_folds(merged):
    (table,) = merged["metrics"]["external"].values()
    (ours,) = table["methods"]  # one fold alone has radiomics
    # Means of 0.6 and 0.2 against a threshold of 0.6.
    assert [r["scores"] for r in table["rows"]] == [
        {OURS: pytest.approx(0.6)},
        {OURS: pytest.approx(0.2)},
    ]
    assert (ours["num_cases"], ours["sensitivity"], ours["specificity"]) == (2, 1, 1)
    assert "accuracy_of_folds" not in ours


def test_what_was_left_out_is_told_and_why(merged):
    told = merged["metrics"]["left_out"]
    assert told["fold 0"] == LEFT_OUT | {"radiomics": "PyRadiomics is not installed"}
    assert merged["metrics"]["segmentation"] is None
    assert merged["metrics"]["identification"] is None
    for text in ("Left out", "PyRadiomics is not installed", "no node is named", "fold 1"):
        assert text in merged["page"]


def test_the_page_shows_tables_and_no_number_that_is_none(merged):
    page = re.sub(r"base64,[^\"]*", "", merged["page"])
    for text in ("Table VI", "Table VII, 1_other", "4 held-out examinations of 4 patients"):
        assert text in page
    assert "in 2 folds" in page
    assert not re.search(r"\bnan\b", page)
    assert "Table V<" not in page
    assert "nan" not in merged["printed"]
    assert OURS in merged["printed"]


def test_without_an_external_data_set_there_is_no_table_7(tmp_path):
    phantoms(tmp_path / "data", num_cases=1)
    fold = ended(tmp_path / "f", {ANSWERS: answers(row(0, True, {}, part="test"))}, LEFT_OUT)
    (tmp_path / "merged").mkdir()
    merge_folds(plan(tmp_path), [], [fold], Ended(tmp_path, {}, ()), tmp_path / "merged")
    page = (tmp_path / "merged" / "report.html").read_text()
    assert "Table VI" not in page  # nobody answered
    assert "Left out" in page


def test_tables_of_nodes_stand_below(tmp_path, monkeypatch):
    phantoms(tmp_path / "data", num_cases=1)
    rows = [
        segmented(group, id_, **dict.fromkeys(COMPARED, value))
        for group, value in (("nodes", 0.5), ("nodes without attention", 0.25))
        for id_ in "abc"
    ]
    groups = {
        name: summarize_segmentation([r for r in rows if r["group"] == name])
        for name in ("nodes", "nodes without attention")
    }
    nodes = {"groups": groups, "comparisons": compare(rows), "rows": rows}
    monkeypatch.setattr(merge, "_segmentation", lambda *_: nodes)
    identified = {"summary": summarize_identification(NODES_OF_TWO_FOLDS)}
    monkeypatch.setattr(merge, "_identification", lambda *_: identified)
    fold = ended(tmp_path / "f", {ANSWERS: answers(row(0, True, {}, part="test"))}, {})
    (tmp_path / "merged").mkdir()
    merge_folds(plan(tmp_path), [], [fold], Ended(tmp_path, {}, ()), tmp_path / "merged")
    page = (tmp_path / "merged" / "report.html").read_text()
    for text in ("Table IV", "Table V", "Paired tests of Table V", "50.0 %", "25.0 %"):
        assert text in page
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", page))
    assert "Left out" not in page


def test_a_fold_whose_held_out_cases_name_no_node_has_no_row_of_table_5(tmp_path, monkeypatch):
    phantoms(tmp_path / "data", num_cases=1)
    folds = [Ended(tmp_path / "f", {IDENTIFIED: "why"}, (*SEGMENTED.values(), IDENTIFIED))]
    nobody = Division(0, ("phantom_000",), (), (), {}, {})
    monkeypatch.setattr(merge, "read_division", lambda run: nobody)
    assert merge._segmentation(plan(tmp_path), folds) is None
