"""Evaluation of answers that were written by hand: every figure is known beforehand."""

import csv
import json
import shutil

import numpy as np
import pytest

from core.errors import InputError
from core.io.nifti import write
from core.metrics.intervals import f1_interval, wilson_interval
from core.metrics.overlap import Counts
from core.report.table import UNDEFINED, to_text
from fee.evaluate import evaluate
from fee.evaluation_page import PAPER, networks_table, system_table, types_table
from tests.fee.evaluate.answers import (
    COUNTS,
    SCORES,
    SHAPE,
    TRUE,
    volume,
    write_case,
    write_results,
)

FAILED = {"id": "a", "input": "a", "status": "failed", "error": "is cut", "seconds": 0.1}


def test_every_rate_of_patients_follows_from_the_answers(truth, pred, tmp_path):
    summary = evaluate([pred], [truth], tmp_path / "out")["summary"]
    assert Counts(*(summary[f"num_{name}"] for name in Counts._fields)) == COUNTS
    assert summary["accuracy"] == 3 / 5
    assert summary["accuracy_ci"] == wilson_interval(3, 5)
    assert summary["sensitivity"] == summary["recall"] == 2 / 3
    assert summary["sensitivity_ci"] == wilson_interval(2, 3)
    assert summary["specificity"] == 1 / 2
    assert summary["precision"] == 2 / 3
    assert summary["f1"] == 4 / 6
    assert summary["f1_ci"] == f1_interval(COUNTS)
    # Of 3 × 2 pairs, 0.9 and 0.7 win both, 0.2 wins over 0.1.
    assert summary["auc"] == pytest.approx(5 / 6)
    assert summary["seconds"] == 2.0


def test_overlap_is_per_patient_and_slices_are_counted_together(truth, pred, tmp_path):
    metrics = evaluate([pred], [truth], tmp_path / "out")
    rows = {row["id"]: row for row in metrics["rows"]}
    assert rows["a"]["dsc"] == rows["a"]["miou"] == 1
    both, extra, size = 3 * 16, 64, np.prod(SHAPE)  # c: one more slice, all of it
    assert rows["c"]["dsc"] == 2 * both / (2 * both + extra)
    rest = size - both - extra
    assert rows["c"]["miou"] == (both / (both + extra) + rest / (rest + extra)) / 2
    summary = metrics["summary"]
    assert summary["dsc"] == pytest.approx((1 + rows["c"]["dsc"]) / 2)
    assert (summary["dsc_num"], summary["dsc_num_undefined"]) == (2, 3)
    assert (summary["num_right_slices"], summary["num_annotated_slices"]) == (6 + 5, 12)
    assert summary["locate_accuracy"] == 11 / 12
    # Kept slices of a, c and d are called rightly; b's and e's none.
    assert summary["diagnose_accuracy"] == (3 + 4 + 1) / (3 + 2 + 4 + 1)


def test_each_type_has_its_accuracy(truth, pred, tmp_path):
    metrics = evaluate([pred], [truth], tmp_path / "out")
    counts = {
        line["type"]: (line["num_right"], line["num"]) for line in metrics["summary"]["types"]
    }
    assert counts == {"PDAC": (1, 2), "IPMN": (1, 1), "normal": (1, 2)}
    texts = to_text(types_table(metrics))
    assert "87.6 %" in texts
    assert "50.0 % (1/2;" in texts


def test_the_paper_is_consistent_with_itself():
    # Accuracy 82.7 %, F1 88.5 %, sensitivity 86.8 %, specificity 69.5 % (Results).
    tp, fp, fn, tn = PAPER
    assert round((tp + tn) / sum(PAPER), 3) == 0.827
    assert round(2 * tp / (2 * tp + fp + fn), 3) == 0.885
    assert (round(tp / (tp + fn), 3), round(tn / (tn + fp), 3)) == (0.868, 0.695)


def test_the_table_of_the_system_has_the_papers_figures_beside_ours(truth, pred, tmp_path):
    texts = to_text(system_table(evaluate([pred], [truth], tmp_path / "out")))
    for text in ("82.7 % (287/347;", "60.0 % (3/5;", "0.871", "18.6", "58.5 % (62,649/107,036)"):
        assert text in texts
    assert "60.0 % (30/50)" in texts  # 6 of 10 files of each patient


def test_rows_are_written_as_json_and_csv_with_null_where_undefined(truth, pred, tmp_path):
    evaluate([pred], [truth], tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [row["id"] for row in metrics["rows"]] == list(SCORES)
    assert metrics["rows"][1]["dsc"] is None
    with (tmp_path / "out" / "rows.csv").open(newline="") as file:
        assert [float(row["score"]) for row in csv.DictReader(file)] == list(SCORES.values())


def test_a_failed_patient_is_counted_apart_and_as_an_error(truth, pred, tmp_path):
    write_results(pred, [FAILED, *(write_case(pred, name) for name in "bcde")])
    metrics = evaluate([pred], [truth], tmp_path / "out")
    summary = metrics["summary"]
    assert (summary["num_cases"], summary["num_failed"]) == (5, 1)
    assert summary["accuracy"] == 2 / 4
    assert "right" not in metrics["rows"][0]
    wrong = summary["failed_as_errors"]
    assert wrong["accuracy"] == 2 / 5
    # Its pancreas is annotated, and none of it is segmented.
    assert wrong["dsc"] == pytest.approx(summary["dsc"] / 2)


def test_without_any_answer_all_is_undefined(truth, tmp_path):
    metrics = evaluate([write_results(tmp_path / "pred", [FAILED])], [truth], tmp_path / "out")
    for name in ("accuracy", "f1", "auc", "locate_accuracy", "diagnose_accuracy"):
        assert np.isnan(metrics["summary"][name])
    assert (tmp_path / "out" / "report.html").is_file()


def test_patients_that_were_learned_from_have_columns_of_their_own(truth, pred, tmp_path):
    parts = {"a": "train", "c": "val"}
    write_results(pred, [write_case(pred, name, part=parts.get(name)) for name in SCORES])
    metrics = evaluate([pred], [truth], tmp_path / "out")
    summary = metrics["summary"]
    assert (summary["num_patients"], summary["num_seen"]) == (3, 2)
    assert summary["seen"]["train"]["dsc"] == 1
    assert summary["seen"]["val"]["num_right_slices"] == 5
    (locate, *_) = networks_table(metrics).rows
    # Of a, c and the other three, of whom none has a mask.
    assert locate[-3:] == ("100.0 % (6/6)", "83.3 % (5/6)", UNDEFINED)
    assert locate[1:4] == ("99.8 %", "96.5 %", "97.1 %")
    assert "learned from" in (tmp_path / "out" / "report.html").read_text()


def test_an_older_study_is_shown_and_not_counted(truth, pred, tmp_path, caplog):
    older = write_case(pred, "a") | {"id": "a", "study": 1, "num_studies": 2}
    newest = write_case(pred, "a") | {"num_studies": 2}
    folder = pred / "cases"
    shutil.copytree(folder / "a", folder / "a-2")
    older["id"] = "a-2"
    write_results(pred, [newest, older, *(write_case(pred, name) for name in "bcde")])
    metrics = evaluate([pred], [truth], tmp_path / "out")
    assert metrics["summary"]["num_patients"] == 5
    assert metrics["summary"]["num_not_comparable"] == 1
    assert metrics["rows"][1]["status"] == "not comparable"
    assert "older study" in caplog.text


def test_both_rules_stand_side_by_side(truth, pred, tmp_path):
    vote = tmp_path / "vote"
    write_results(vote, [write_case(vote, name) for name in SCORES], rule="vote")
    metrics = evaluate([pred, vote], [truth], tmp_path / "out")
    assert list(metrics["groups"]) == ["mean", "vote"]
    assert metrics["groups"]["vote"]["num_patients"] == metrics["summary"]["num_patients"] == 5
    assert len(metrics["rows"]) == 10


def test_several_outputs_are_put_together(truth, tmp_path):
    preds = []
    for names in ("ab", "cde"):
        out = tmp_path / names
        preds.append(write_results(out, [write_case(out, name) for name in names]))
    summary = evaluate(preds, [truth], tmp_path / "out")["summary"]
    assert (summary["num_patients"], summary["accuracy"]) == (5, 3 / 5)
    again = tmp_path / "again"
    with pytest.raises(InputError, match="are both of"):
        evaluate(
            [*preds, write_results(again, [write_case(again, "a")])], [truth], tmp_path / "out"
        )


def test_other_patients_are_counted_and_alone_refused(truth, pred, tmp_path):
    stranger = write_case(pred, "a") | {"input": "elsewhere/stranger"}
    write_results(pred, [stranger, write_case(pred, "b")])
    assert evaluate([pred], [truth], tmp_path / "out")["summary"]["num_without_truth"] == 1
    write_results(pred, [stranger])
    with pytest.raises(InputError, match="none of 1 predicted"):
        evaluate([pred], [truth], tmp_path / "out")


def test_patients_are_matched_by_path_before_they_are_by_name(truth, pred, tmp_path):
    # b's folder is called like another patient elsewhere.
    at = {"a": truth / "patients" / "b", "b": tmp_path / "x" / "a"}
    cases = [write_case(pred, name) | {"input": str(path)} for name, path in at.items()]
    write_results(pred, cases)
    rows = evaluate([pred], [truth], tmp_path / "out")["rows"]
    assert [(row["id"], row["patient"]) for row in rows] == [("a", "b"), ("b", "a")]


def test_a_mask_of_another_grid_costs_its_series_alone(truth, pred, tmp_path, caplog):
    write(truth / "masks" / "a" / "arterial.nii.gz", volume(TRUE[:4]))
    metrics = evaluate([pred], [truth], tmp_path / "out")
    (row, *_) = metrics["rows"]
    assert (row["status"], row["right"], row["num_annotated_series"]) == ("done", True, 0)
    assert np.isnan(row["dsc"])
    assert "(4, 8, 8)" in row["mask_error"]
    assert row["mask_error"] in caplog.messages
    assert metrics["summary"]["dsc_num"] == 1


def test_a_folder_without_diagnoses_is_refused(truth, tmp_path):
    with pytest.raises(InputError, match=r"results\.json") as error:
        evaluate([truth], [truth], tmp_path / "out")
    assert "fee diagnose" in error.value.hint


def test_the_page_has_every_table_and_figure(truth, pred, tmp_path):
    evaluate([pred], [truth], tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    for title in (
        "Table 1: types of tumor",
        "Table 2: images",
        "Table 3: networks",
        "A: confusion matrix",
        "B: ROC of the patients&#39; score",
        "C: accuracy by type",
        "Truth: IPMN.",
        "Truth: no tumor.",
    ):
        assert title in page, title
