"""Who is matched with whom, who counts, and in which column."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.commands.evaluate import Paper, Truth, evaluate, failures_note, write
from core.commands.results import VERSION
from core.errors import InputError
from core.report.table import Table
from core.train.run_folder import Division, record_division


def measure(truth, prediction):
    if truth.case == "unreadable":
        raise InputError("is cut short", path=truth.path)
    right = {} if prediction is None else {"right": prediction.row["right"]}
    return {"sick": truth.case == "sick", **right}


PAPER = Paper(
    command="paper job",
    group=lambda results: results["network"],
    same=lambda prediction, truth: prediction.row.get("grid", "g") == "g",
    measure=measure,
    as_error=lambda row: {"right": False},
    summarize=lambda rows: {"accuracy": float(np.mean([r["right"] for r in rows] or [np.nan]))},
)


@pytest.fixture
def truths(tmp_path):
    return [Truth(f"p{name}", tmp_path / "data" / f"{name}.nii.gz", (), "sick") for name in "abcd"]


def row(path, **values):
    return {
        "id": Path(path).name.split(".")[0],
        "input": str(path),
        "status": "done",
        "seconds": 1.0,
        "right": True,
        "part": None,
        **values,
    }


def output(folder, rows, *, network="net", fold=None, fingerprint="f", runs=None):
    folder.mkdir()
    runs = runs or [{"path": "gone", "step": 1, "fingerprint": fingerprint, "fold": fold}]
    content = {
        "version": VERSION,
        "manifest": {},
        "runs": runs,
        "fold": fold,
        "network": network,
        "cases": rows,
        "skipped": [],
    }
    (folder / "results.json").write_text(json.dumps(content))
    return folder


def ids(evaluated):
    return [row["id"] for row in evaluated.metrics["rows"]]


def test_cases_are_matched_by_path_and_moved_ones_by_name_and_grid(truths, tmp_path):
    rows = [row(truths[0].path), row("moved/b.nii.gz"), row("moved/c.nii.gz", grid="another")]
    evaluated = evaluate(PAPER, [output(tmp_path / "o", rows)], truths)
    assert ids(evaluated) == ["a", "b"]
    assert evaluated.metrics["summary"]["num_without_truth"] == 1


def test_a_series_belongs_to_the_patient_whose_folder_it_lies_in(tmp_path):
    truth = Truth("p", tmp_path / "data" / "p", (), "sick")
    series = row(tmp_path / "data" / "p" / "study" / "series")
    evaluated = evaluate(PAPER, [output(tmp_path / "o", [series])], [truth])
    assert evaluated.metrics["rows"][0]["patient"] == "p"


def test_a_name_that_comes_twice_is_no_match(truths, tmp_path):
    twice = [row("x/a.nii.gz", id="1"), row("y/a.nii.gz", id="2"), row("z/b.nii.gz")]
    assert ids(evaluate(PAPER, [output(tmp_path / "o", twice)], truths)) == ["b"]
    again = Truth("q", tmp_path / "more" / "b.nii.gz", (), "sick")
    with pytest.raises(InputError, match="none of 1 predicted cases"):
        evaluate(PAPER, [output(tmp_path / "p", [row("z/b.nii.gz")])], [*truths, again])


def test_two_predictions_of_one_case_are_refused(truths, tmp_path):
    outputs = [output(tmp_path / name, [row(truths[0].path)]) for name in "op"]
    with pytest.raises(InputError, match="are both of"):
        evaluate(PAPER, outputs, truths)


def test_folds_are_pooled_and_each_counts_once(truths, tmp_path):
    outputs = [
        output(tmp_path / f"o{fold}", [row(truths[fold].path)], fold=fold) for fold in (0, 1)
    ]
    evaluated = evaluate(PAPER, outputs, truths)
    assert [row["fold"] for row in evaluated.metrics["rows"]] == [0, 1]
    again = output(tmp_path / "again", [row(truths[2].path)], fold=1)
    with pytest.raises(InputError, match="is of fold 1, and so is"):
        evaluate(PAPER, [*outputs, again], truths)


def test_another_network_of_the_same_name_is_refused_and_of_another_stands_beside(truths, tmp_path):
    first = output(tmp_path / "o", [row(truths[0].path)], fold=0)
    other = output(tmp_path / "p", [row(truths[1].path)], fold=1, fingerprint="g")
    with pytest.raises(InputError, match="is by another network than"):
        evaluate(PAPER, [first, other], truths)
    named = output(tmp_path / "q", [row(truths[0].path, right=False)], fold=0, network="other")
    groups = evaluate(PAPER, [first, named], truths).metrics["groups"]
    assert {name: summary["accuracy"] for name, summary in groups.items()} == {"net": 1, "other": 0}


def test_failed_cases_count_both_ways(truths, tmp_path):
    rows = [row(truths[0].path), row(truths[1].path, status="failed")]
    evaluated = evaluate(PAPER, [output(tmp_path / "o", rows)], truths)
    summary = evaluated.metrics["summary"]
    assert (summary["accuracy"], summary["num_cases"], summary["num_failed"]) == (1.0, 2, 1)
    assert summary["failed_as_errors"]["accuracy"] == 0.5
    assert "1 of 2 cases failed" in failures_note(summary)


def test_a_case_that_cannot_be_compared_harms_no_other(truths, tmp_path):
    broken = replace(truths[1], case="unreadable")
    rows = [row(truths[0].path), row(broken.path)]
    evaluated = evaluate(PAPER, [output(tmp_path / "o", rows)], [truths[0], broken])
    summary = evaluated.metrics["summary"]
    assert (summary["accuracy"], summary["num_not_comparable"]) == (1.0, 1)
    assert "is cut short" in evaluated.metrics["rows"][1]["error"]


def test_cases_that_were_learned_from_are_marked_and_not_in_the_headline(truths, tmp_path):
    rows = [
        row(truths[0].path, part="train", right=False),
        row(truths[1].path, part="val", right=False),
        row(truths[2].path, part="test"),
        row(truths[3].path),
    ]
    metrics = evaluate(PAPER, [output(tmp_path / "o", rows)], truths).metrics
    assert [row["part"] for row in metrics["rows"]] == ["train", "val", "test", None]
    summary = metrics["summary"]
    assert (summary["accuracy"], summary["num_cases"], summary["num_seen"]) == (1.0, 2, 2)
    assert {part: s["accuracy"] for part, s in summary["seen"].items()} == {"train": 0, "val": 0}
    assert "2 were learned from" in failures_note(summary)


def test_another_study_of_a_patient_who_was_learned_from_is_marked_too(truths, tmp_path):
    run = tmp_path / "run"
    patients = {"pa": "test", "pb": "train"}
    record_division(run, Division(None, ("b",), (), ("a",), {"A": "test"}, patients))
    runs = [{"path": str(run), "step": 1, "fingerprint": "f", "fold": None}]
    rows = [row(truths[0].path, part="test"), row(truths[1].path)]
    metrics = evaluate(PAPER, [output(tmp_path / "o", rows, runs=runs)], truths).metrics
    assert [row["part"] for row in metrics["rows"]] == ["test", "train"]
    # Another data set may have other patients of the same names.
    alone = output(tmp_path / "p", rows[1:], runs=runs)
    assert evaluate(PAPER, [alone], truths).metrics["rows"][0]["part"] is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_an_ensemble_the_fold_that_learned_from_a_patient_decides(truths, tmp_path, order):
    runs = []
    for fold, part in enumerate(("train", "test")):
        run = tmp_path / f"run{fold}"
        patients = {"pa": "test", "pb": part}
        record_division(run, Division(fold, ("b",), (), ("a",), {"A": "test"}, patients))
        runs.append({"path": str(run), "step": 1, "fingerprint": "f", "fold": fold})
    rows = [row(truths[0].path, part="test"), row(truths[1].path)]
    pred = output(tmp_path / "o", rows, runs=[runs[i] for i in order])
    metrics = evaluate(PAPER, [pred], truths).metrics
    assert [row["part"] for row in metrics["rows"]] == ["test", "train"]


def test_an_ending_in_capitals_belongs_to_no_name(truths, tmp_path):
    pred = output(tmp_path / "o", [row("moved/a.NII.GZ")])
    assert ids(evaluate(PAPER, [pred], truths)) == ["a"]


def test_nothing_in_common_is_refused(truths, tmp_path):
    with pytest.raises(InputError, match="none of 1 predicted cases is among the 4 annotated"):
        evaluate(PAPER, [output(tmp_path / "o", [row("elsewhere/z.nii.gz")])], truths)


def test_what_is_written_and_printed(truths, tmp_path, capsys):
    metrics, _ = evaluate(PAPER, [output(tmp_path / "o", [row(truths[0].path)])], truths)
    write(tmp_path / "eval", metrics, "<p>page", Table(("", "ours"), [("DSC", 0.5)]))
    assert capsys.readouterr().out == "      ours\n---  -----\nDSC  0.500\n"
    assert json.loads((tmp_path / "eval/metrics.json").read_text())["rows"][0]["id"] == "a"
    assert (tmp_path / "eval/rows.csv").read_text().startswith("id,patient,group,fold")
    assert (tmp_path / "eval/report.html").read_text() == "<p>page"


@pytest.mark.parametrize("name", ["Jos\u00e9", "Jose\u0301", os.fsdecode(b"\xb1\xa8"), "患者"])
def test_a_case_is_matched_by_its_path_and_name_in_whatever_form_they_are(tmp_path, name):
    truth = Truth("p", tmp_path / "data" / f"{name}.nii.gz", (), "sick")
    other = {"Jos\u00e9": "Jose\u0301", "Jose\u0301": "Jos\u00e9"}.get(name, name)
    # By its path whatever its grid is, and by its name where it lies elsewhere.
    by_path = row(truth.path.with_name(f"{other}.nii.gz"), id="a", grid="another")
    for number, of_case in enumerate((by_path, row(f"x/{other}.nii.gz", id="a"))):
        pred = output(tmp_path / str(number), [of_case])
        assert ids(evaluate(PAPER, [pred], [truth])) == ["a"]


def test_two_files_whose_names_differ_in_form_alone_stay_two(tmp_path):
    paths = [tmp_path / "data" / f"{name}.nii.gz" for name in ("Jos\u00e9", "Jose\u0301")]
    truths = [Truth(f"p{n}", path, (), "sick") for n, path in enumerate(paths)]
    rows = [row(path, id=str(n)) for n, path in enumerate(paths)]
    evaluated = evaluate(PAPER, [output(tmp_path / "o", rows)], truths)
    assert [row["patient"] for row in evaluated.metrics["rows"]] == ["p0", "p1"]


def test_files_of_one_name_in_several_folders_are_matched_by_path_or_not_at_all(tmp_path, caplog):
    truths = [Truth(f"p{n}", tmp_path / f"s{n}" / "ct.nii.gz", (), "sick") for n in range(2)]
    rows = [row(truth.path, id=f"ct-{n}") for n, truth in enumerate(truths)]
    rows.append(row("moved/ct.nii.gz", id="ct-2"))
    evaluated = evaluate(PAPER, [output(tmp_path / "o", rows)], truths)
    assert [(r["id"], r["patient"]) for r in evaluated.metrics["rows"]] == [
        ("ct-0", "p0"),
        ("ct-1", "p1"),
    ]
    assert f"{tmp_path / 'o/cases/ct-2'} is not evaluated: ct comes twice" in caplog.text
