"""Evaluation on masks that were drawn by hand: every figure is known beforehand."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import InputError
from core.io.image.mask import write_mask, write_probability
from core.report.table import to_text
from eusdaf.evaluate import GRID, MEASURES, evaluate, measures
from eusdaf.evaluation_page import PAPER, table_2

SIDE = GRID
DIAGONAL = np.hypot(GRID, GRID)
STAGES = {"a": "T1", "b": "T2", "c": "T1", "d": None}
FOLDS = {"a": 0, "b": 0, "c": 1, "d": 1}


def square(first: int, last: int, *, shift: int = 0) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[first:last, first + shift : last + shift] = True
    return mask


EMPTY = np.zeros((SIDE, SIDE), bool)
TRUTH = {"a": square(50, 150), "b": square(50, 150), "c": square(50, 150), "d": EMPTY}
PRED = {"a": square(50, 150), "b": square(50, 150, shift=20), "c": EMPTY, "d": square(10, 20)}
"""Perfect, twenty pixels aside, missed, and a false alarm."""


def test_a_perfect_mask_has_no_distance():
    found = measures(TRUTH["a"], TRUTH["a"])
    assert {name: found[name] for name in MEASURES} == {
        **dict.fromkeys(("dsc", "iou", "sensitivity", "specificity", "precision"), 1.0),
        **dict.fromkeys(("avd", "hd", "mad"), 0.0),
    }
    assert found["success"]


def test_every_measure_of_a_shifted_square_is_its_formula():
    true, pred = TRUTH["b"], PRED["b"]
    both, area = 80 * 100, 100 * 100
    found = measures(pred, true)
    assert found["dsc"] == 2 * both / (2 * area)
    assert found["iou"] == both / (2 * area - both)
    assert found["sensitivity"] == found["precision"] == both / area
    assert found["specificity"] == 1 - (area - both) / (SIDE**2 - area)
    # By definition, point by point; both ways alike, for one square is the other one mirrored.
    places = [np.argwhere(m & ~_eroded(m)) for m in (pred, true)]
    apart = np.sqrt(((places[0][:, None] - places[1][None]) ** 2).sum(-1)).min(axis=1)
    assert found["hd"] == apart.max() == 20
    assert found["avd"] == pytest.approx(apart.mean(), rel=1e-12)
    assert found["mad"] == pytest.approx(apart.mean(), rel=1e-12)
    assert found["success"]  # 8000 / 12000 > 0.5


def _eroded(mask: np.ndarray) -> np.ndarray:
    inside = mask.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inside &= np.roll(mask, step, axis)  # no mask here touches the border
    return inside


def test_a_missed_lesion_is_as_far_as_the_diagonal_and_has_no_precision():
    found = measures(EMPTY, TRUTH["c"])
    assert (found["dsc"], found["iou"], found["sensitivity"]) == (0, 0, 0)
    assert found["avd"] == found["hd"] == found["mad"] == DIAGONAL
    assert DIAGONAL == pytest.approx(362.04, abs=0.005)
    assert np.isnan(found["precision"])
    assert (found["predicted"], found["success"]) == (False, False)


@pytest.mark.parametrize("pred", [PRED["d"], EMPTY], ids=["false alarm", "nothing"])
def test_without_a_lesion_all_but_the_specificity_is_undefined(pred):
    found = measures(pred, EMPTY)
    assert found["specificity"] == 1 - pred.sum() / SIDE**2
    assert found["predicted"] == pred.any()
    assert all(np.isnan(found[name]) for name in MEASURES if name != "specificity")


def test_exactly_half_an_overlap_is_no_success():
    half = square(50, 150)
    half[50:100] = False
    assert measures(half, square(50, 150))["iou"] == 0.5
    assert not measures(half, square(50, 150))["success"]


def write_truth(root: Path) -> Path:
    """The four pictures with their masks and a table."""
    lines = ["image,patient,stage,location"]
    for name, mask in TRUTH.items():
        image = root / "images" / f"{name}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        gray = np.random.default_rng(0).integers(0, 256, mask.shape, np.uint8)
        Image.fromarray(gray).save(image)
        write_mask(root / "masks" / f"{name}.png", mask)
        lines.append(f"{name}.png,patient {name},{STAGES[name] or ''},")
    (root / "images.csv").write_text("\n".join(lines))
    return root


def write_results(out: Path, fold: int | None, names, inputs=None, **more) -> Path:
    """What `eusdaf segment --probabilities` leaves; probabilities are 0.9 and 0.2."""
    cases = []
    for name in names:
        folder = out / "cases" / name
        folder.mkdir(parents=True, exist_ok=True)
        write_mask(folder / "mask.png", PRED[name])
        write_probability(folder / "probability.png", np.where(PRED[name], 0.9, 0.2))
        path = f"elsewhere/{name}.jpg" if inputs is None else str(inputs[name])
        cases.append({"id": name, "input": path, "status": "done", "num_frames": 1, **more})
    results = {
        "version": 1,
        "manifest": {"commit": "unknown"},
        "network": "daf",
        "size": GRID,
        "runs": [str(out.parent / "run")],
        "fold": fold,
        "cases": cases,
        "skipped": [],
    }
    (out / "results.json").write_text(json.dumps(results))
    return out


@pytest.fixture
def truth(tmp_path):
    return write_truth(tmp_path / "truth")


@pytest.fixture
def preds(tmp_path):
    """An output for each of two folds."""
    return [write_results(tmp_path / f"pred{fold}", fold, names) for fold, names in _by_fold()]


def _by_fold():
    return [(fold, [n for n, own in FOLDS.items() if own == fold]) for fold in (0, 1)]


def test_every_aggregate_follows_from_the_masks(truth, preds, tmp_path):
    metrics = evaluate(preds, truth, tmp_path / "out")
    summary = metrics["summary"]
    assert summary["num_pictures"] == 4
    assert (summary["num_lesions"], summary["num_missed"]) == (3, 1)
    assert (summary["num_normal"], summary["num_false_alarms"]) == (1, 1)
    assert summary["num_failed"] == 0
    assert summary["dsc"] == pytest.approx((1 + 0.8 + 0) / 3)
    assert summary["hd"] == pytest.approx((0 + 20 + DIAGONAL) / 3)
    assert (summary["precision"], summary["precision_num"]) == (pytest.approx(0.9), 2)
    assert summary["success"] == pytest.approx(2 / 3)
    assert summary["dsc_ci"].low <= summary["dsc"] <= summary["dsc_ci"].high


def test_folds_have_their_means_and_the_table_the_mean_of_these(truth, preds, tmp_path):
    metrics = evaluate(preds, truth, tmp_path / "out")
    assert [fold["fold"] for fold in metrics["folds"]] == [0, 1]
    assert [fold["num_pictures"] for fold in metrics["folds"]] == [2, 2]
    assert [fold["dsc"] for fold in metrics["folds"]] == [pytest.approx(0.9), 0.0]
    table = table_2(metrics)
    assert [row[0] for row in table.rows] == [
        *(f"paper, {name}" for name in PAPER),
        "ours, fold 0",
        "ours, fold 1",
        "ours, mean of folds",
    ]
    assert table.rows[-1][1] == pytest.approx((0.9 + 0.0) / 2)  # not (1 + 0.8 + 0) / 3
    assert "paper, DAF-Net" in to_text(table)


def test_all_pixels_make_one_roc(truth, preds, tmp_path):
    summary = evaluate(preds, truth, tmp_path / "out")["summary"]
    found = sum(int((PRED[n] & TRUTH[n]).sum()) for n in TRUTH)
    positive = sum(int(mask.sum()) for mask in TRUTH.values())
    alarms = sum(int((PRED[n] & ~TRUTH[n]).sum()) for n in TRUTH)
    negative = 4 * SIDE**2 - positive
    # Two scores make one point: the area of two trapezoids.
    expected = (1 + found / positive - alarms / negative) / 2
    assert summary["auc"] == pytest.approx(expected, rel=1e-9)


def test_without_all_probability_maps_there_is_no_roc(truth, preds, tmp_path):
    (preds[0] / "cases" / "a" / "probability.png").unlink()
    summary = evaluate(preds, truth, tmp_path / "out")["summary"]
    assert np.isnan(summary["auc"])
    assert "ROC of all pixels" not in (tmp_path / "out" / "report.html").read_text()


def test_rows_are_written_as_json_and_csv(truth, preds, tmp_path):
    evaluate(preds, truth, tmp_path / "out")
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


def test_a_failed_picture_is_counted_and_nothing_else(truth, preds, tmp_path):
    path = preds[0] / "results.json"
    results = json.loads(path.read_text())
    results["cases"][1] |= {"status": "failed", "error": "is cut"}
    path.write_text(json.dumps(results))
    summary = evaluate(preds, truth, tmp_path / "out")["summary"]
    assert (summary["num_pictures"], summary["num_failed"], summary["num_lesions"]) == (4, 1, 2)
    assert summary["dsc"] == pytest.approx((1 + 0) / 2)


def test_pictures_without_a_lesion_alone_have_false_alarms_and_no_overlap(truth, tmp_path):
    pred = write_results(tmp_path / "pred", None, ["d"])
    metrics = evaluate([pred], truth, tmp_path / "out")
    assert metrics["summary"]["num_false_alarms"] == 1
    assert "dsc" not in metrics["summary"]
    assert metrics["folds"] == metrics["statistics"] == []
    assert "false alarm" in (tmp_path / "out" / "report.html").read_text()


def test_a_path_matches_before_a_name(truth, tmp_path):
    # Two pictures of one name: only their paths tell them apart.
    inner = truth / "more" / "images" / "a.png"
    inner.parent.mkdir(parents=True)
    inner.write_bytes((truth / "images" / "a.png").read_bytes())
    write_mask(truth / "more" / "masks" / "a.png", EMPTY)
    (truth / "images.csv").unlink()
    pred = write_results(tmp_path / "by_path", None, ["a"], inputs={"a": inner})
    (row,) = evaluate([pred], truth, tmp_path / "out")["rows"]
    assert not row["has_lesion"]
    by_name = write_results(tmp_path / "by_name", None, ["a", "b"])
    (row,) = evaluate([by_name], truth, tmp_path / "out")["rows"]
    assert row["id"] == "b"  # "a" fits two


def test_clips_have_no_truth(truth, tmp_path):
    pred = write_results(tmp_path / "pred", None, ["a"], num_frames=3)
    with pytest.raises(InputError, match="none of the segmented pictures is annotated"):
        evaluate([pred], truth, tmp_path / "out")


def test_a_segmentation_of_other_pictures_is_refused(truth, tmp_path):
    inputs = dict.fromkeys(TRUTH, Path("other.png"))
    pred = write_results(tmp_path / "pred", None, TRUTH, inputs=inputs)
    with pytest.raises(InputError, match=r"is annotated in .*; pictures are matched by their path"):
        evaluate([pred], truth, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_segmentation_is_refused(truth, tmp_path):
    with pytest.raises(InputError, match=r"holds no results\.json; give the --out of eusdaf"):
        evaluate([truth], truth, tmp_path / "out")


def test_a_picture_that_was_segmented_at_another_size_is_refused(truth, preds, tmp_path):
    write_mask(preds[0] / "cases" / "a" / "mask.png", np.zeros((20, 30), bool))
    with pytest.raises(InputError, match="the mask has 20 × 30 pixels"):
        evaluate(preds, truth, tmp_path / "out")


def test_the_page_has_every_figure_and_its_links_lead_somewhere(truth, preds, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    lines = [{"step": n, "loss": 8 / n, "dice_loss": 1 / n} for n in (1, 2, 3)]
    (run / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    evaluate(preds, truth, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    for title in (
        "Segmentation",
        "Beside Table 2 of the paper",
        "ROC of all pixels",
        "By stage",
        "Learning curves",
        "Statistics",
        "Pictures",
        "Shapiro–Wilk",
        "Kruskal–Wallis",
        "1 of 3 lesions were missed",
        "IoU &gt; 0.5",
    ):
        assert title in page, title
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links
    assert links <= set(re.findall(r'id="([^"]+)"', page))
    assert "https://" not in page
