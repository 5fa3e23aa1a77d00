"""The ROC of all pixels: which pictures are in it."""

import weakref

import numpy as np
import pytest

from core.metrics import pixel_roc
from eusdaf.evaluate import evaluate
from tests.eusdaf.evaluate.drawn import auc, change_case


def test_all_pixels_make_one_roc(truth, preds, tmp_path):
    summary = evaluate(preds, [truth], tmp_path / "out")["summary"]
    assert summary["auc"] == pytest.approx(auc("abcd"), rel=1e-9)
    assert summary["auc_num_pictures"] == 4


def test_a_picture_that_failed_or_has_no_map_is_not_in_the_roc_and_does_no_harm(
    truth, preds, tmp_path
):
    (preds[0] / "cases" / "a" / "probability.png").unlink()
    change_case(preds[1], "c", status="failed", error="is cut")
    summary = evaluate(preds, [truth], tmp_path / "out")["summary"]
    assert summary["auc"] == pytest.approx(auc("bd"), rel=1e-9)
    assert summary["auc_num_pictures"] == 2
    assert "ROC is over the pixels of 2 pictures" in (tmp_path / "out" / "report.html").read_text()


def test_no_histogram_of_a_picture_is_kept(truth, preds, tmp_path, monkeypatch):
    made, histogram = [], pixel_roc.histogram

    def watched(scores, true_mask):
        assert not any(array() is not None for array in made)
        counts = histogram(scores, true_mask)
        made.append(weakref.ref(counts.num_positive))
        return counts

    monkeypatch.setattr(pixel_roc, "histogram", watched)
    evaluate(preds, [truth], tmp_path / "out")
    assert len(made) == 4


def test_pictures_that_were_learned_from_are_not_in_the_roc(truth, preds, tmp_path):
    change_case(preds[0], "a", part="train")
    summary = evaluate(preds, [truth], tmp_path / "out")["summary"]
    assert (summary["num_seen"], summary["num_cases"]) == (1, 3)
    assert summary["auc"] == pytest.approx(auc("bcd"), rel=1e-9)
    assert summary["dsc"] == pytest.approx((0.8 + 0) / 2)
    assert summary["seen"]["train"]["dsc"] == 1


def test_without_any_probability_map_there_is_no_roc(truth, preds, tmp_path):
    for path in tmp_path.rglob("probability.png"):
        path.unlink()
    summary = evaluate(preds, [truth], tmp_path / "out")["summary"]
    assert np.isnan(summary["auc"])
    assert summary["auc_num_pictures"] == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "ROC of all pixels" not in page
    assert "pixel AUC" not in page
