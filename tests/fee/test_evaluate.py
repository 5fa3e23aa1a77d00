"""Evaluation of answers that were written by hand: every figure is known beforehand."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError
from core.io.nifti import write
from core.metrics.compare import f1_interval, wilson_interval
from core.metrics.overlap import Counts
from core.report.picture import picture
from core.report.table import to_text
from core.volume import CANONICAL_DIRECTION, Volume
from fee.evaluate import evaluate
from fee.evaluation_page import PAPER, system_table, types_table

SHAPE = (6, 8, 8)
SICK = {"a": "PDAC", "b": "PDAC", "c": "IPMN"}
SCORES = {"a": 0.9, "b": 0.2, "c": 0.7, "d": 0.1, "e": 0.6}
"""A hit, a miss, a hit, rightly normal, and a false alarm."""
COUNTS = Counts(true_positive=2, false_positive=1, false_negative=1, true_negative=1)
TRUE = np.zeros(SHAPE, np.uint8)
TRUE[1:4, 2:6, 2:6] = 1
TRUE[2, 3, 3] = 2
KEPT = {"a": [1, 2, 3], "b": [1, 2], "c": [1, 2, 3, 4], "d": [0], "e": []}
PNG = picture(np.zeros((8, 8), np.uint8), [])


def volume(array: np.ndarray) -> Volume:
    return Volume(array, (5.0, 1.0, 1.0), (0.0, 0.0, 0.0), CANONICAL_DIRECTION)


def predicted(name: str) -> np.ndarray:
    """The true pancreas in the slices that are kept, and all of each other one."""
    pred = np.zeros(SHAPE, np.uint8)
    for d in KEPT[name]:
        pred[d] = (TRUE[d] > 0) if TRUE[d].any() else 1
    return pred


@pytest.fixture
def truth(tmp_path) -> Path:
    """Five patients; the masks of two are known."""
    root = tmp_path / "truth"
    lines = ["patient,tumor,tumor_type"]
    for name in SCORES:
        (root / "patients" / name).mkdir(parents=True)
        lines.append(f"{name},{int(name in SICK)},{SICK.get(name, '')}")
    (root / "patients.csv").write_text("\n".join(lines) + "\n")
    for name in ("a", "c"):
        write(root / "masks" / name / "arterial.nii.gz", volume(TRUE))
    return root


def write_case(out: Path, name: str) -> dict:
    """What `fee diagnose` leaves of a patient with one series."""
    folder = out / "cases" / name
    write(folder / "arterial" / "segmentation.nii.gz", volume(predicted(name)))
    slices = [
        {"slice": d, "pancreas": 0.5, "tumor": SCORES[name] if d in KEPT[name] else None}
        for d in range(SHAPE[0])
    ]
    phase = {
        "name": "arterial",
        "phase": "arterial",
        "evidence": "series description",
        "status": "done",
        "num_slices": SHAPE[0],
        "num_kept": len(KEPT[name]),
        "mean_probability": SCORES[name],
        "pancreas_ml": 1.0,
        "note": "",
    }
    row = {
        "id": name,
        "input": f"elsewhere/{name}.zip" if name == "b" else f"elsewhere/{name}",
        "status": "done",
        "decision": "tumor" if SCORES[name] >= 0.5 else "normal",
        "score": SCORES[name],
        "note": "",
        "num_slices": SHAPE[0],
        "num_kept": len(KEPT[name]),
        "num_used": 6,
        "num_skipped": 4,
        "num_error": 0,
        "screening": "used 6 of 10 files",
        "explained": [],
        "stage_seconds": {"screen": 1.0},
        "seconds": 2.0,
    }
    (folder / "overlay.png").write_bytes(PNG)
    (folder / "prediction.json").write_text(json.dumps({"phases": [{**phase, "slices": slices}]}))
    return {**row, "phases": [phase]}


def write_results(out: Path, cases: list[dict]) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    results = {
        "version": 1,
        "manifest": {"commit": "unknown"},
        "runs": ["run"],
        "rule": "mean",
        "threshold": 0.5,
        "cases": cases,
        "skipped": [],
    }
    (out / "results.json").write_text(json.dumps(results))
    return out


@pytest.fixture
def pred(tmp_path) -> Path:
    out = tmp_path / "pred"
    return write_results(out, [write_case(out, name) for name in SCORES])


def test_every_rate_of_patients_follows_from_the_answers(truth, pred, tmp_path):
    summary = evaluate([pred], truth, tmp_path / "out")["summary"]
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
    metrics = evaluate([pred], truth, tmp_path / "out")
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
    metrics = evaluate([pred], truth, tmp_path / "out")
    found = {line["type"]: (line["num_right"], line["num"]) for line in metrics["types"]}
    assert found == {"PDAC": (1, 2), "IPMN": (1, 1), "normal": (1, 2)}
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
    texts = to_text(system_table(evaluate([pred], truth, tmp_path / "out")))
    for text in ("82.7 % (287/347;", "60.0 % (3/5;", "0.871", "18.6", "58.5 % (62,649/107,036)"):
        assert text in texts
    assert "60.0 % (30/50)" in texts  # 6 of 10 files of each patient


def test_rows_are_written_as_json_and_csv_with_null_where_undefined(truth, pred, tmp_path):
    evaluate([pred], truth, tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [row["id"] for row in metrics["rows"]] == list(SCORES)
    assert metrics["rows"][1]["dsc"] is None
    with (tmp_path / "out" / "rows.csv").open(newline="") as file:
        assert [float(row["score"]) for row in csv.DictReader(file)] == list(SCORES.values())


def test_a_failed_patient_is_counted_and_nothing_else(truth, pred, tmp_path):
    failed = {"id": "a", "input": "a", "status": "failed", "error": "is cut", "seconds": 0.1}
    write_results(pred, [failed, *(write_case(pred, name) for name in "bcde")])
    metrics = evaluate([pred], truth, tmp_path / "out")
    summary = metrics["summary"]
    assert (summary["num_patients"], summary["num_failed"]) == (5, 1)
    assert summary["accuracy"] == 2 / 4
    assert "right" not in metrics["rows"][0]


def test_without_any_answer_all_is_undefined(truth, tmp_path):
    failed = {"id": "a", "input": "a", "status": "failed", "error": "is cut", "seconds": 0.1}
    metrics = evaluate([write_results(tmp_path / "pred", [failed])], truth, tmp_path / "out")
    for name in ("accuracy", "f1", "auc", "locate_accuracy", "diagnose_accuracy"):
        assert np.isnan(metrics["summary"][name])
    assert (tmp_path / "out" / "report.html").is_file()


def test_several_outputs_are_put_together(truth, tmp_path):
    preds = []
    for names in ("ab", "cde"):
        out = tmp_path / names
        preds.append(write_results(out, [write_case(out, name) for name in names]))
    summary = evaluate(preds, truth, tmp_path / "out")["summary"]
    assert (summary["num_patients"], summary["accuracy"]) == (5, 3 / 5)
    again = tmp_path / "again"
    with pytest.raises(InputError, match="holds a second diagnosis of a; give one"):
        evaluate([*preds, write_results(again, [write_case(again, "a")])], truth, tmp_path / "out")


def test_other_patients_are_counted_and_alone_refused(truth, pred, tmp_path):
    stranger = write_case(pred, "a") | {"input": "elsewhere/stranger"}
    write_results(pred, [stranger, write_case(pred, "b")])
    assert evaluate([pred], truth, tmp_path / "out")["summary"]["num_without_truth"] == 1
    write_results(pred, [stranger])
    with pytest.raises(
        InputError, match=r"none of the 1 diagnosed patients is in .*; patients are"
    ):
        evaluate([pred], truth, tmp_path / "out")


def test_a_mask_of_another_grid_and_a_folder_without_diagnoses_are_refused(truth, pred, tmp_path):
    write(truth / "masks" / "a" / "arterial.nii.gz", volume(TRUE[:4]))
    with pytest.raises(InputError, match=r"shape \(6, 8, 8\) against \(4, 8, 8\)"):
        evaluate([pred], truth, tmp_path / "out")
    with pytest.raises(InputError, match=r"holds no results\.json; give the --out of fee diagnose"):
        evaluate([truth], truth, tmp_path / "out")


def test_the_page_has_every_table_and_figure_and_its_links_lead_somewhere(truth, pred, tmp_path):
    evaluate([pred], truth, tmp_path / "out")
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
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert {f"s-{name}" for name in SCORES} <= links
    assert links <= set(re.findall(r'id="([^"]+)"', page))
    assert "https://" not in page
