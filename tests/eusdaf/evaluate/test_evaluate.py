"""Evaluation on masks that were drawn by hand: every figure is known beforehand."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import InputError
from core.io.image.mask import write_mask
from core.metrics.intervals import bootstrap_interval
from core.report.table import to_text
from eusdaf.evaluate import BOOTSTRAP_SEED, evaluate
from eusdaf.evaluation_page import PAPER, table_2
from tests.eusdaf.evaluate.drawn import (
    DIAGONAL,
    EMPTY,
    FOLDS,
    STAGES,
    TRUTH,
    auc,
    change_case,
    square,
    write_results,
)
from tests.refusals import refused


def test_every_aggregate_follows_from_the_masks(truth, preds, tmp_path):
    summary = evaluate(preds, [truth], tmp_path / "out")["summary"]
    assert (summary["num_cases"], summary["num_failed"], summary["num_patients"]) == (4, 0, 4)
    assert (summary["num_lesions"], summary["num_missed"]) == (3, 1)
    assert (summary["num_normal"], summary["num_false_alarms"]) == (1, 1)
    assert summary["dsc"] == pytest.approx((1 + 0.8 + 0) / 3)
    assert summary["hd"] == pytest.approx((0 + 20 + DIAGONAL) / 3)
    assert (summary["precision"], summary["precision_num"]) == (pytest.approx(0.9), 2)
    assert summary["success"] == pytest.approx(2 / 3)
    assert summary["dsc_ci"].low <= summary["dsc"] <= summary["dsc_ci"].high


def test_folds_have_their_means_and_the_table_the_mean_of_these(truth, preds, tmp_path):
    metrics = evaluate(preds, [truth], tmp_path / "out")
    folds = metrics["groups"]["daf"]["folds"]
    assert [fold["fold"] for fold in folds] == [0, 1]
    assert [fold["num_pictures"] for fold in folds] == [2, 2]
    assert [fold["dsc"] for fold in folds] == [pytest.approx(0.9), 0.0]
    table = table_2(metrics)
    assert [row[0] for row in table.rows] == [
        *(f"paper, {name}" for name in PAPER),
        "ours, DAF-Net, fold 0",
        "ours, DAF-Net, fold 1",
        "ours, DAF-Net, mean of folds",
    ]
    assert table.rows[-1][1] == pytest.approx((0.9 + 0.0) / 2)  # not (1 + 0.8 + 0) / 3
    assert "paper, DAF-Net" in to_text(table)


def test_three_networks_stand_on_one_page(truth, preds, tmp_path):
    unet = write_results(tmp_path / "unet", None, "abcd", network="unet")
    attention = write_results(tmp_path / "attention", None, "ab", network="attention-unet")
    metrics = evaluate([*preds, unet, attention], [truth], tmp_path / "out")
    assert list(metrics["groups"]) == ["daf", "unet", "attention-unet"]
    assert [row[0] for row in table_2(metrics).rows][-3:] == [
        "ours, DAF-Net, mean of folds",
        "ours, U-Net",
        "ours, Attention U-Net",
    ]
    areas = [metrics["groups"][name]["auc"] for name in metrics["groups"]]
    assert areas == pytest.approx([auc("abcd"), auc("abcd"), auc("ab")], rel=1e-9)
    page = (tmp_path / "out" / "report.html").read_text()
    texts = [
        f"{area:.3f} of {name}" for area, name in zip(areas, ("DAF-Net", "U-Net"), strict=False)
    ]
    assert all(text in page for text in texts)
    assert "a U-Net" in page


def test_one_fold_of_a_network_twice_and_two_networks_of_one_name_are_refused(
    truth, preds, tmp_path
):
    again = write_results(tmp_path / "again", 0, "c")
    with pytest.raises(InputError, match="is of fold 0, and so is") as refusal:
        evaluate([*preds, again], [truth], tmp_path / "out")
    assert refusal.value.path == again
    results = json.loads((again / "results.json").read_text())
    results["runs"][0]["fingerprint"] = "daf-32x8d"
    (again / "results.json").write_text(json.dumps(results | {"fold": 2}))
    with pytest.raises(InputError, match="is by another network than"):
        evaluate([*preds, again], [truth], tmp_path / "out")


def test_intervals_resample_patients(truth, preds, tmp_path):
    table = (truth / "images.csv").read_text().replace("patient b", "patient a")
    (truth / "images.csv").write_text(table)
    summary = evaluate(preds, [truth], tmp_path / "out")["summary"]
    assert summary["num_patients"] == 3
    values, groups = np.array([1.0, 0.8, 0.0]), ["a", "a", "c"]
    expected = bootstrap_interval(values, seed=BOOTSTRAP_SEED, groups=groups)
    assert summary["dsc_ci"] == pytest.approx(expected)
    assert expected != bootstrap_interval(values, seed=BOOTSTRAP_SEED)


def test_rows_are_written_as_json_and_csv(truth, preds, tmp_path):
    evaluate(preds, [truth], tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "metrics.json").read_text())["rows"]
    assert [(row["id"], row["fold"], row["stage"]) for row in rows] == [
        (name, FOLDS[name], STAGES[name]) for name in TRUTH
    ]
    assert rows[3]["dsc"] is None
    assert rows[0]["patient"] == "patient a"
    with (tmp_path / "out" / "rows.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["id"] for row in table] == list(TRUTH)
    assert float(table[1]["dsc"]) == 0.8


def test_failed_pictures_count_both_ways(truth, preds, tmp_path):
    change_case(preds[0], "b", status="failed", error="is cut")
    change_case(preds[1], "d", status="failed", error="is cut")
    summary = evaluate(preds, [truth], tmp_path / "out")["summary"]
    assert (summary["num_cases"], summary["num_failed"], summary["num_lesions"]) == (4, 2, 2)
    assert summary["dsc"] == pytest.approx((1 + 0) / 2)
    wrong = summary["failed_as_errors"]
    assert (wrong["num_lesions"], wrong["num_missed"]) == (3, 2)
    assert (wrong["num_normal"], wrong["num_false_alarms"]) == (1, 1)
    assert wrong["dsc"] == pytest.approx((1 + 0 + 0) / 3)
    assert wrong["hd"] == pytest.approx((0 + 2 * DIAGONAL) / 3)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "2 of 4 cases failed" in page


def test_pictures_without_a_lesion_alone_have_false_alarms_and_no_overlap(truth, tmp_path):
    pred = write_results(tmp_path / "pred", None, ["d"])
    metrics = evaluate([pred], [truth], tmp_path / "out")
    assert metrics["summary"]["num_false_alarms"] == 1
    assert np.isnan(metrics["summary"]["dsc"])
    assert metrics["summary"]["folds"] == metrics["statistics"] == []
    assert len(table_2(metrics).rows) == len(PAPER)
    assert "false alarm" in (tmp_path / "out" / "report.html").read_text()


def test_a_path_matches_before_a_name(truth, tmp_path):
    # Two pictures of one name: only their paths tell them apart.
    inner = truth / "more" / "images" / "a.png"
    inner.parent.mkdir(parents=True)
    inner.write_bytes((truth / "images" / "a.png").read_bytes())
    write_mask(truth / "more" / "masks" / "a.png", EMPTY)
    (truth / "images.csv").unlink()
    pred = write_results(tmp_path / "by_path", None, ["a"], inputs={"a": inner})
    (row,) = evaluate([pred], [truth], tmp_path / "out")["rows"]
    assert not row["has_lesion"]
    by_name = write_results(tmp_path / "by_name", None, ["a", "b"])
    (row,) = evaluate([by_name], [truth], tmp_path / "out")["rows"]
    assert row["id"] == "b"  # "a" fits two


def test_truth_may_lie_in_several_data_sets(truth, tmp_path):
    other = tmp_path / "other"
    for kind in ("images", "masks"):
        (other / kind).mkdir(parents=True)
        (truth / kind / "d.png").rename(other / kind / "d.png")
    pred = write_results(tmp_path / "pred", None, "cd")
    rows = evaluate([pred], [truth, other], tmp_path / "out")["rows"]
    assert [row["has_lesion"] for row in rows] == [True, False]


@pytest.mark.parametrize("other", ["size", "clip"])
def test_a_picture_of_the_same_name_that_is_another_is_not_matched(truth, preds, tmp_path, other):
    if other == "size":
        write_mask(preds[0] / "cases" / "a" / "mask.png", np.zeros((20, 30), bool))
    else:
        change_case(preds[0], "a", num_frames=3)
    metrics = evaluate(preds, [truth], tmp_path / "out")
    assert [row["id"] for row in metrics["rows"]] == ["b", "c", "d"]
    assert metrics["summary"]["num_without_truth"] == 1


def test_a_mask_that_does_not_fit_its_picture_harms_no_other(truth, tmp_path):
    inputs = {name: truth / "images" / f"{name}.png" for name in TRUTH}
    pred = write_results(tmp_path / "pred", None, "abc", inputs=inputs)
    write_mask(pred / "cases" / "a" / "mask.png", np.zeros((20, 30), bool))
    metrics = evaluate([pred], [truth], tmp_path / "out")
    assert [row["status"] for row in metrics["rows"]] == ["not comparable", "done", "done"]
    assert "20 × 30" in metrics["rows"][0]["error"]
    assert metrics["summary"]["dsc"] == pytest.approx((0.8 + 0) / 2)


def test_a_segmentation_of_other_pictures_is_refused(truth, tmp_path):
    inputs = dict.fromkeys(TRUTH, Path("other.png"))
    pred = write_results(tmp_path / "pred", None, TRUTH, inputs=inputs)
    with pytest.raises(InputError, match="none of 4 predicted cases is among the 4 annotated ones"):
        evaluate([pred], [truth], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_segmentation_is_refused(truth, tmp_path):
    with pytest.raises(InputError, match=r"holds no results\.json") as refusal:
        evaluate([truth], [truth], tmp_path / "out")
    assert refusal.value.hint == "give the --out of eusdaf segment"


def test_the_page_has_every_figure(truth, preds, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    lines = [{"step": n, "loss": 8 / n, "dice_loss": 1 / n} for n in (1, 2, 3)]
    (run / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    evaluate(preds, [truth], tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    for title in (
        "Segmentation, DAF-Net",
        "Beside Table 2 of the paper",
        "ROC of all pixels",
        "By stage",
        "Learning curves",
        "Statistics, DAF-Net",
        "Pictures",
        "Shapiro–Wilk",
        "Kruskal–Wallis",
        "1 of 3 lesions were missed",
        "IoU &gt; 0.5",
    ):
        assert title in page, title


def test_the_lesion_of_masks_with_several_values_is_named(truth, preds, tmp_path):
    for name, lesion in TRUTH.items():
        organ = np.where(lesion, 2, square(20, 200)).astype(np.uint8)
        Image.fromarray(organ).save(truth / "masks" / f"{name}.png")
    told = evaluate(preds, [truth], tmp_path / "named", lesion_value="2")
    assert [row["dsc"] for row in told["rows"] if row["id"] == "a"] == [1.0]
    untold = evaluate(preds, [truth], tmp_path / "unnamed")
    errors = [row["error"] for row in untold["rows"] if row["id"] == "a"]
    assert [("0, 1, 2" in error, "--lesion-value" in error) for error in errors] == [(True, True)]
    with refused(None, "lesion_value", "'red'"):
        evaluate(preds, [truth], tmp_path / "wrong", lesion_value="red")
