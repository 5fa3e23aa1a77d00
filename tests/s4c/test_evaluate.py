"""Evaluation on predictions that were made by hand: every figure is known beforehand."""

import json
import math
import shutil

import nibabel as nib
import numpy as np
import pytest

from core.commands.results import VERSION
from core.datasets.pancreas import PANCREAS, TUMOR
from core.errors import InputError
from core.metrics.rows import column
from s4c import evaluation_figures
from s4c.evaluate import evaluate
from s4c.evaluation_figures import overlaps, rates
from s4c.evaluation_tables import table_1, table_2
from tests.refusals import refused

SHAPE = (12, 10, 8)
AFFINE = np.diag([-2.0, -2.0, 2.0, 1.0])


def label(num_tumor: int, num_pancreas: int = 100) -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    array.flat[:num_pancreas] = PANCREAS
    array.flat[:num_tumor] = TUMOR
    return array


TRUTH = {"a": label(60), "b": label(40), "c": label(0), "d": label(0)}
PRED = {"a": label(30), "b": label(0, 50), "c": label(0), "d": label(80)}
SCORES = {"a": 0.9, "b": 0.1, "c": 0.0, "d": 0.5}


def save(array: np.ndarray, path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, AFFINE), path)


@pytest.fixture
def folders(tmp_path):
    """A data set of four cases and a screening of them; case d is a false alarm, b a miss."""
    truth, pred = tmp_path / "truth", tmp_path / "pred"
    cases = []
    for id_, array in TRUTH.items():
        save(np.zeros(SHAPE, np.int16), truth / "imagesTr" / f"{id_}_0000.nii.gz")
        save(array, truth / "labelsTr" / f"{id_}.nii.gz")
        scan = f"{id_}_0000"
        save(PRED[id_], pred / "cases" / scan / "segmentation.nii.gz")
        (pred / "cases" / scan / "overlay.png").write_bytes(PNG)
        num_tumor = int((PRED[id_] == TUMOR).sum())
        cases.append(
            {
                "id": scan,
                "input": f"elsewhere/{scan}.nii.gz",
                "status": "done",
                "decision": "PDAC" if num_tumor >= 20 else "normal",
                "score": SCORES[id_],
                "num_tumor_voxels": num_tumor,
                "num_duct_voxels": 0,
                "tumor_ml": num_tumor * 8e-3,
                "pancreas_ml": 1.0,
                "seconds": 1.0,
                "part": None,
            }
        )
    description = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "pancreas": 1, "tumor": 2},
        "numTraining": len(TRUTH),
        "file_ending": ".nii.gz",
    }
    (truth / "dataset.json").write_text(json.dumps(description))
    write_results(pred, cases)
    return truth, pred, cases


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000"
    "020001e221bc330000000049454e44ae426082"
)
"""One grey pixel."""


def write_results(pred, cases, *, fold=None, system="multi", phases=(), positive="PDAC") -> None:
    pred.mkdir(exist_ok=True)
    runs = [{"path": "runs/64", "step": 9, "fingerprint": system, "fold": fold}]
    results = {
        "version": VERSION,
        "manifest": {"commit": "unknown"},
        "runs": runs,
        "fold": fold,
        "system": system,
        "phases": list(phases),
        "positive": positive,
        "rule": {"min_tumor_voxels": 20, "min_duct_voxels": 0},
        "cases": cases,
        "skipped": [],
    }
    (pred / "results.json").write_text(json.dumps(results))


def test_every_figure_follows_from_the_masks(folders, tmp_path):
    truth, pred, _ = folders
    summary = evaluate([pred], [truth], tmp_path / "out")["summary"]
    assert summary["sensitivity"] == 1 / 2
    assert summary["specificity"] == 1 / 2
    # Of the four pairs (abnormal, normal): a beats c and d, b beats c, b loses to d.
    assert summary["auc"] == 3 / 4
    assert summary["num_misses"] == 1
    assert summary["tumor_dsc"] == pytest.approx((2 * 30 / (60 + 30) + 0) / 2)
    assert summary["tumor_dsc_num"] == 2
    # Pancreas DSC is over pancreas and tumor together: only b's prediction is half the size.
    assert summary["abnormal_pancreas_dsc"] == pytest.approx((1 + 2 * 50 / 150) / 2)
    assert summary["normal_pancreas_dsc"] == 1
    assert summary["dsc"] == pytest.approx((3 + 2 * 50 / 150) / 4)


def test_rows_are_written_as_json_and_csv(folders, tmp_path):
    truth, pred, _ = folders
    evaluate([pred], [truth], tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "metrics.json").read_text())["rows"]
    assert [row["id"] for row in rows] == ["a_0000", "b_0000", "c_0000", "d_0000"]
    assert rows[2]["tumor_dsc"] is None
    lines = (tmp_path / "out" / "rows.csv").read_text().splitlines()
    assert len(lines) == 1 + len(rows)


def test_a_failed_case_is_counted_both_ways(folders, tmp_path):
    truth, pred, cases = folders
    failed = {"id": "d_0000", "input": "d_0000.nii.gz", "status": "failed", "error": "truncated"}
    failed |= {"seconds": 1.0}
    write_results(pred, [*cases[:3], failed])
    summary = evaluate([pred], [truth], tmp_path / "out")["summary"]
    assert summary["num_failed"] == 1
    assert summary["num_normal"] == 1
    assert summary["specificity"] == 1
    wrong = summary["failed_as_errors"]
    assert (wrong["specificity"], wrong["num_normal"]) == (1 / 2, 2)
    assert wrong["normal_pancreas_dsc"] == 1 / 2
    # The failed normal case stands above both abnormal ones.
    assert wrong["auc"] == 2 / 4


def test_scans_without_truth_are_counted(folders, tmp_path):
    truth, pred, cases = folders
    write_results(pred, [*cases, {**cases[0], "id": "x", "input": "x_0000.nii.gz"}])
    assert evaluate([pred], [truth], tmp_path / "out")["summary"]["num_without_truth"] == 1


def test_a_scan_of_the_same_name_on_another_grid_is_not_matched(folders, tmp_path):
    truth, pred, _ = folders
    other = np.zeros((6, 6, 6), np.uint8)
    save(other, pred / "cases" / "a_0000" / "segmentation.nii.gz")
    metrics = evaluate([pred], [truth], tmp_path / "out")
    assert [row["id"] for row in metrics["rows"]] == ["b_0000", "c_0000", "d_0000"]


def test_specificity_is_the_mean_over_the_folds_models(folders, tmp_path):
    truth, pred, cases = folders
    second = tmp_path / "second"
    shutil.copytree(pred, second)
    write_results(pred, cases, fold=0)
    # The second model calls neither normal case: 1/2 and 2/2.
    write_results(second, [cases[2], {**cases[3], "decision": "normal"}], fold=1)
    metrics = evaluate([pred, second], [truth], tmp_path / "out")
    summary = metrics["summary"]
    assert summary["specificity"] == (1 / 2 + 1) / 2
    # Of the four, one of two votes for d is no majority.
    assert summary["specificity_by_majority"] == 1
    assert summary["num_normal_patients"] == 2
    page = (tmp_path / "out" / "report.html").read_text()
    assert "mean of 2 folds" in page


def test_rows_of_table_1_stand_side_by_side(folders, tmp_path):
    truth, pred, cases = folders
    coarse = tmp_path / "coarse"
    shutil.copytree(pred, coarse)
    write_results(coarse, cases[:2], system="64³")
    metrics = evaluate([pred, coarse], [truth], tmp_path / "out")
    table = table_1(metrics)
    assert table.columns[:3] == ("", "ours, multi", "ours, 64³")
    sensitivity = next(row for row in table.rows if row[0] == "sensitivity")
    assert sensitivity[1].startswith("50.0 % (1/2;")


def test_a_screening_of_other_scans_is_refused(folders, tmp_path):
    truth, pred, cases = folders
    write_results(pred, [{**case, "input": "other.nii.gz"} for case in cases])
    with pytest.raises(InputError, match="none of 4 predicted cases is among the 4 annotated"):
        evaluate([pred], [truth], tmp_path / "out")


def test_a_folder_without_a_screening_is_refused(folders, tmp_path):
    with pytest.raises(InputError, match=r"holds no results\.json"):
        evaluate([tmp_path], [folders[0]], tmp_path / "out")


def test_what_nobody_annotated_is_neither_miss_nor_false_alarm(folders, tmp_path):
    truth, pred, _ = folders
    known = evaluate([pred], [truth], tmp_path / "known")["rows"]
    description = json.loads((truth / "dataset.json").read_text())
    description["labels"]["ignore"] = 3
    (truth / "dataset.json").write_text(json.dumps(description))
    for id_, array in TRUTH.items():
        array = array.copy()
        array.flat[100:] = 3
        save(array, truth / "labelsTr" / f"{id_}.nii.gz")
        found = PRED[id_].copy()
        found.flat[100:] = TUMOR
        save(found, pred / "cases" / f"{id_}_0000" / "segmentation.nii.gz")
    ignored = evaluate([pred], [truth], tmp_path / "ignored")["rows"]
    np.testing.assert_equal(ignored, known)


def as_two_phases(pred, cases):
    """The same screening as of two phases: the arterial one sees what the venous one saw, and b."""
    rows = []
    for case in cases:
        own = {key: case[key] for key in ("decision", "score", "tumor_ml", "input")}
        own |= {key: case[key] for key in ("num_tumor_voxels", "num_duct_voxels", "pancreas_ml")}
        arterial = own | ({"decision": "PNET", "score": 0.7} if case["id"] == "b_0000" else {})
        venous = own | {"decision": own["decision"].replace("PDAC", "PNET")}
        arterial["decision"] = arterial["decision"].replace("PDAC", "PNET")
        decisive = "venous" if venous["score"] >= arterial["score"] else "arterial"
        phases = {"arterial": arterial, "venous": venous}
        folder = pred / "cases" / case["id"]
        for phase in phases:
            (folder / phase).mkdir()
            for name in ("segmentation.nii.gz", "overlay.png"):
                shutil.copy(folder / name, folder / phase / name)
        rows.append({**case, **phases[decisive], "decided_by": decisive, "phases": phases})
    write_results(pred, rows, system="64³", phases=("arterial", "venous"), positive="PNET")
    return rows


def test_each_phase_is_judged_for_itself_and_both_together(folders, tmp_path, capsys):
    truth, pred, cases = folders
    as_two_phases(pred, cases)
    metrics = evaluate([pred], [truth], tmp_path / "out")
    groups = metrics["groups"]
    assert list(groups) == ["both phases, 64³", "arterial, 64³", "venous, 64³"]
    # The venous phase misses b; the arterial one does not, so together they miss nobody.
    assert [g["num_false_negative"] for g in groups.values()] == [0, 0, 1]
    assert [g["num_false_positive"] for g in groups.values()] == [1, 1, 1]
    assert [g["sensitivity"] for g in groups.values()] == [1, 1, 1 / 2]
    # Segmentations are of one phase each.
    assert np.isnan(groups["both phases, 64³"]["pancreas_dsc"])
    assert groups["venous, 64³"]["pancreas_dsc"] == groups["arterial, 64³"]["pancreas_dsc"] < 1
    assert metrics["summary"]["sensitivity"] == 1
    assert table_1(metrics).columns[1:4] == (
        "ours, arterial, 64³",
        "ours, venous, 64³",
        "paper, venous",
    )
    both = table_2(metrics)
    assert both is not None
    assert dict(zip(both.columns, both.rows[0], strict=True))["ours"] == "0/2"
    printed = capsys.readouterr().out
    assert "wrong calls" in printed
    assert "23/148" in printed  # Table 2's classification network
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Beside Table 2 of the paper" in page


def test_a_failed_patient_failed_in_both_phases(folders, tmp_path):
    truth, pred, cases = folders
    rows = as_two_phases(pred, cases)
    failed = {"id": "d_0000", "input": "d_0000.nii.gz", "status": "failed", "error": "truncated"}
    phases = ("arterial", "venous")
    written = [*rows[:3], failed | {"seconds": 1.0}]
    write_results(pred, written, system="64³", phases=phases, positive="PNET")
    groups = evaluate([pred], [truth], tmp_path / "out")["groups"]
    assert [g["num_failed"] for g in groups.values()] == [1, 1, 1]


def test_screenings_for_two_diseases_are_not_compared(folders, tmp_path):
    truth, pred, cases = folders
    other = tmp_path / "other"
    shutil.copytree(pred, other)
    write_results(other, cases, positive="PNET")
    with refused(other, "PNET", "PDAC"):
        evaluate([pred, other], [truth], tmp_path / "out")


def test_sensitivity_and_specificity_over_k_are_shares_of_called_cases():
    counts = [(60, 0, True), (3, 700, True), (10, 0, False), (0, 0, False)]
    rows = [
        {"num_tumor_voxels": tumor, "num_duct_voxels": duct, "abnormal": abnormal}
        for tumor, duct, abnormal in counts
    ]
    abnormal = np.array([row["abnormal"] for row in rows])
    for min_duct in (0, 500):
        k, sensitivity, specificity = rates(rows, abnormal, min_duct)
        assert (k[0], k[-1]) == (1, 61)
        for n, least in enumerate(k):
            by_duct = [0 < min_duct <= row["num_duct_voxels"] for row in rows]
            called = (column(rows, "num_tumor_voxels") >= least) | by_duct
            assert sensitivity[n] == np.mean(called[:2])
            assert specificity[n] == 1 - np.mean(called[2:])


def test_the_page_shows_the_sweep_the_overlaps_and_the_false_alarms(folders, tmp_path):
    truth, pred, cases = folders
    evaluate([pred], [truth], tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    for shown in ("Sweep over K", "Overlap by system", "False alarms", "d_0000, called"):
        assert shown in page
    write_results(pred, [case for case in cases if case["id"] == "c_0000"])
    evaluate([pred], [truth], tmp_path / "normal")
    page = (tmp_path / "normal" / "report.html").read_text()
    for absent in ("Sweep over K", "False alarms"):
        assert absent not in page


def test_a_classifier_is_not_shown_beside_the_network_that_segments_for_it(monkeypatch):
    draw, shown = evaluation_figures.box_plots, []

    def watched(plots):
        shown.extend(plots)
        return draw(plots)

    monkeypatch.setattr(evaluation_figures, "box_plots", watched)
    dsc = {"venous, 16³": (0.25, math.nan), "venous, V-Net": (0.5, math.nan)}
    dsc["venous, classification"] = dsc["venous, 16³"]
    rows = [
        {"group": group, "tumor_dsc": value, "pancreas_dsc": 0.75}
        for group, values in dsc.items()
        for value in values
    ]
    overlaps({"groups": dsc}, rows)
    tumor, pancreas = shown
    assert [name.split() for name in tumor.groups] == [["venous,", "16³"], ["venous,", "V-Net"]]
    assert len(pancreas.groups) == 2  # other networks are shown, however alike
