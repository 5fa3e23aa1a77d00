"""A classifier answers in the region of the coarse pancreas, instead of the K rule."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from core.datasets.pancreas import BACKGROUND, PANCREAS, TUMOR
from core.infer.voting import Voted
from core.preprocess.crop import Box
from s4c.classifier.config import RECIPES, InferConfig, ModelConfig
from s4c.classifier.infer import Classifier, asker, load_classifier
from s4c.classifier.runs import open_classifiers
from s4c.config import DecisionConfig
from s4c.demo import write_phantoms
from s4c.evaluate import evaluate
from s4c.evaluation_tables import table_1
from s4c.infer import screen, screen_volume
from s4c.model import classifier
from s4c.networks import Cascade, open_runs
from s4c.prepare import find_cache
from s4c.recipes import SEGMENTATION
from s4c.train import train
from tests.refusals import refused
from tests.s4c.classifier.runs import FOLD, OTHER_NETWORK, TINY, Runs, coarse_run, make_runs
from tests.s4c.test_networks import COARSE
from tests.s4c.test_screen_volume import HU, LABEL, SCAN, sees

CFG = RECIPES["classifier"]


def answering(score: float, cfg: InferConfig):
    """A classifier with one answer, and the regions that it is asked about."""
    regions = []

    def extract(cut, roi):
        regions.append(roi)
        assert cut(roi.start, roi.shape).shape == roi.shape
        return np.zeros((1, 1, 1, 1), np.float32)

    return Classifier(replace(CFG, infer=cfg), extract, lambda features: score), regions


@pytest.mark.parametrize(("score", "positive"), [(0.4, True), (0.39, False)])
def test_the_classifier_decides_where_the_pancreas_is_and_k_does_not(score, positive):
    answers, regions = answering(score, InferConfig(roi_margin=1, threshold=0.4))
    cfg = replace(COARSE, decision=DecisionConfig(min_tumor_voxels=1))
    found, decision = screen_volume(SCAN, Cascade(cfg, [sees(LABEL)[0]], classifier=answers))
    # The pancreas without outliers is 4 … 8; grown by the margin and to whole cells.
    assert found.roi == Box((0, 0, 0), (16, 16, 16))
    assert regions == [found.roi]
    assert (decision.positive, decision.score) == (positive, score)
    assert decision.num_tumor_voxels == np.count_nonzero(LABEL[1:] == TUMOR)


def test_a_scan_without_a_pancreas_is_normal():
    answers, regions = answering(1.0, InferConfig())
    sees_nothing = sees(np.full(HU.shape, BACKGROUND))[0]
    found, decision = screen_volume(SCAN, Cascade(COARSE, [sees_nothing], classifier=answers))
    assert (found.roi, decision.positive, decision.score, regions) == (None, False, 0.0, [])


def test_a_bucket_of_sizes_is_compiled_once(monkeypatch):
    cfg, traces = ModelConfig(width=4, groups=1), []
    apply = classifier.apply

    def counted(*args):
        traces.append(1)
        return apply(*args)

    monkeypatch.setattr("s4c.classifier.infer.classifier.apply", counted)
    ask = asker(cfg, classifier.init(cfg, jax.random.key(0), 3)["params"])
    sizes = [(1, 2, 3), (8, 8, 8), (5, 7, 1), (9, 8, 8), (16, 1, 1)]
    scores = [ask(np.ones((*size, 3), np.float32)) for size in sizes]
    assert len(traces) == 2  # up to 8 × 8 × 8, and 16 × 8 × 8
    assert all(0 < score < 1 for score in scores)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    return make_runs(tmp_path_factory.mktemp("classifier"))


def test_held_out_scans_are_screened_and_have_a_row_of_their_own(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("s4c.networks.sliding", lambda *_: all_pancreas)
    both, out = [runs.classifier, runs.coarse], tmp_path / "pred"
    assert screen([runs.data], runs=both, out=out, held_out=True) == 0
    written = json.loads((out / "results.json").read_text())
    assert (written["system"], written["fold"]) == ("classification", 1)
    assert {case["part"] for case in written["cases"]} == {"test"}
    for case in written["cases"]:
        assert case["decision"] == ("PDAC" if case["score"] >= 0.5 else "normal")
        assert case["roi"]["start"] == [0, 0, 0]
    assert "A classifier calls a scan" in (out / "report.html").read_text()
    choices = {"classify.threshold": 0.0}
    assert screen([runs.data], runs=both, out=out, held_out=True, choices=choices) == 0
    written = json.loads((out / "results.json").read_text())
    assert {case["decision"] for case in written["cases"]} == {"PDAC"}
    assert written["choices"] == choices
    metrics = evaluate([out], [runs.data], tmp_path / "evaluation")
    assert list(metrics["groups"]) == ["classification"]
    # The segmentation shows no tumor, which is no miss of the classifier.
    summary = metrics["summary"]
    assert summary["num_misses"] == summary["num_abnormal"] > 0
    (misses,) = (row for row in table_1(metrics).rows if row[0] == "misses")
    assert misses[1] == f"0/{summary['num_abnormal']}"


def all_pancreas(image):
    return np.broadcast_to(np.eye(3, dtype=np.float32)[PANCREAS], (*image.shape, 3)).copy()


@pytest.mark.slow  # trains both networks of two phases
def test_a_patient_is_called_if_the_classifier_of_either_phase_does(tmp_path, monkeypatch):
    def vote(image, body):
        return Voted(np.full(image.shape, PANCREAS, np.uint8), 1, 1)

    monkeypatch.setattr("s4c.networks.voting", lambda *_: vote)
    data, runs = tmp_path / "data", []
    write_phantoms(data, num_cases=4, seed=0, spacing_mm=8.0, paper="pnet")
    for phase, convs_step1 in (("arterial", 1), ("venous", 2)):
        cfg = SEGMENTATION[f"tiny-pnet-{phase}"]
        # Random weights are those of the network: two networks, that they differ.
        cfg = replace(cfg, model=replace(cfg.model, width=2, convs_step1=convs_step1))
        find_cache([data], cfg.prepare, tmp_path)
        runs.append(coarse_run(tmp_path / "prepared", tmp_path / phase, None, cfg))
        classifier_run = tmp_path / f"{phase}-classifier"
        train(TINY, [tmp_path / "prepared"], classifier_run, coarse=runs[-1])
        runs.append(classifier_run)
    out = tmp_path / "out"
    assert screen([data / "imagesTr"], runs=runs, out=out) == 0
    for case in json.loads((out / "results.json").read_text())["cases"]:
        scores = [of_phase["score"] for of_phase in case["phases"].values()]
        assert case["score"] == max(scores)
        assert case["decision"] == ("PNET" if max(scores) >= 0.5 else "normal")
    metrics = evaluate([out], [data], tmp_path / "evaluation")
    assert "both phases, classification" in metrics["groups"]
    with refused(runs[0], "has no classifier"):
        screen([data / "imagesTr"], runs=[runs[0], *runs[2:]], out=out)


def test_a_classifier_answers_beside_its_coarse_run_alone(runs, tmp_path):
    known = str(runs.coarse)
    with refused(runs.classifier, "beside the one run", hint=known):
        screen([runs.data], runs=[runs.classifier], out=tmp_path / "out")
    again = shutil.copytree(runs.classifier, tmp_path / "again")
    with refused(again, str(runs.classifier), "learned from one run", hint="give one"):
        screen([runs.data], runs=[runs.classifier, again, runs.coarse], out=tmp_path / "out")
    other = coarse_run(runs.cache, tmp_path / "other", FOLD, OTHER_NETWORK)
    with refused(runs.classifier, "beside the one run", hint=known):
        screen([runs.data], runs=[runs.classifier, other], out=tmp_path / "out")


def test_choices_for_a_classifier_need_one(runs, tmp_path):
    choices = {"classify.roi_margin": 3}
    with refused(None, "--classify.roi-margin is for classifiers"):
        screen([runs.data], runs=[runs.coarse], out=tmp_path / "out", choices=choices)


def test_an_operating_choice_overrides_the_runs(runs):
    opened = open_runs([runs.coarse])
    found = open_classifiers([runs.classifier], opened, {}, allow_unfinished=False)
    choices = {"classify.roi_margin": 3, "infer.roi_margin": 5}
    loaded = load_classifier(found[None], opened[None][0], choices)
    assert loaded.cfg.infer == InferConfig(3, 0.5)
