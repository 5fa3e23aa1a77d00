"""From a run that segments nodes to one that identifies them, and to answers about both."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from core.data.index import Contents, Entry, write_index
from core.data.parts import Parts
from core.io import nifti
from core.train.run_folder import read_division
from lnmet.evaluate import evaluate
from lnmet.identification import train as module
from lnmet.identification.identify import identify
from lnmet.identification.train import build, divide
from lnmet.infer import segment
from lnmet.labels import METASTATIC, NODE
from lnmet.networks import open_runs
from lnmet.nodes import annotated
from lnmet.train import train
from tests.lnmet.phantoms import prepared
from tests.lnmet.tiny import phantoms, tiny
from tests.refusals import refused

NODES = tiny("tiny-nodes-no-attention")
CFG = tiny("tiny-identification", steps=4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A data set, a run that segments its nodes, and one that identifies them; a fold held out."""
    root = tmp_path_factory.mktemp("identification")
    _with_both_kinds(phantoms(root / "data", num_cases=4))
    train(NODES, [root / "data"], root / "nodes", fold=0)
    cache = root / "nodes" / "prepared"
    train(CFG, [cache], root / "identification", fold=0, weights=root / "nodes")
    return root


def _with_both_kinds(data: Path) -> None:
    """Make one node of each patient metastatic, and no other."""
    for path in (data / "labelsTr").iterdir():
        label = nifti.read_label(path)
        ids = annotated(label.array).ids
        changed = np.where(ids > 1, NODE, np.where(ids == 1, METASTATIC, label.array))
        nifti.write(path, label.with_array(changed.astype(np.uint8)))


def results(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


def test_both_stages_hold_the_same_patients_out(trained):
    first, second = (read_division(trained / name) for name in ("nodes", "identification"))
    assert second == first
    assert second.test


def test_the_first_parameters_are_those_of_the_segmentation():
    cases = [prepared("a")]
    trained_unet = build(CFG, cases).init(jax.random.key(7))["params"]["unet"]
    params = build(CFG, cases, params={"unet": trained_unet, "heads": {}}).init(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, params["params"]["unet"], trained_unet)


def test_a_run_goes_on_to_the_same_weights(trained, tmp_path):
    run = shutil.copytree(trained / "identification", tmp_path / "run")
    shutil.rmtree(run / "checkpoints" / "4")
    (run / "manifest.json").unlink()
    cache = trained / "nodes" / "prepared"
    train(CFG, [cache], run, fold=0, resume=True)
    (whole,), (ours,) = (
        open_runs([path]).identification for path in (trained / "identification", run)
    )
    jax.tree.map(np.testing.assert_array_equal, ours.weights()[0], whole.weights()[0])


def test_rows_of_validation_weigh_both_kinds_alike():
    case = prepared("a")
    nodes = np.concatenate([case.nodes, case.nodes[:1], case.nodes[:1]])
    task = build(CFG, [case], [case._replace(nodes=nodes)])
    variables = dict(task.init(jax.random.key(0)))
    rows = task.evaluate(variables.pop("params"), variables)
    assert [row["id"] for row in rows] == ["a/0", "a/1", "a/2", "a/3"]
    # Three others of equal loss, and a metastatic one, which weighs as much as they do together.
    others, metastatic = rows[0]["loss"] / (4 / 6), rows[1]["loss"] / (4 / 2)
    mean = np.mean([row["loss"] for row in rows])
    assert mean == pytest.approx((others + metastatic) / 2)
    # The network gives all crops almost one answer, and one kind of the two is right.
    assert all(row["loss"] > 0 for row in rows)


def test_folds_are_cut_over_all_cases_with_nodes(tmp_path, monkeypatch):
    """As for the segmentation, which learns from nodes of unknown kind as well."""
    cases = [prepared(name, seed=seed) for seed, name in enumerate("abcd")]
    plain = [case._replace(annotated=frozenset({NODE})) for case in cases[:2]]
    parts = Parts(train=("a", "c"), val=(), test=("b", "d"))
    entries = {case.id: Entry((), case.patient, {}) for case in cases}
    write_index(tmp_path, {tmp_path: Contents(entries)})
    monkeypatch.setattr(module, "find_cache", lambda *_: tmp_path)
    monkeypatch.setattr(module, "open_cases", lambda _: [*plain, *cases[2:]])
    asked = []
    monkeypatch.setattr(module, "parts_of", lambda _, cases, *__: asked.append(set(cases)) or parts)
    division, *_ = divide(CFG, [tmp_path], tmp_path, fold=0, weights=None, workers=0)
    assert asked == [{"a", "b", "c", "d"}]
    assert (division.train, division.test) == (("c",), ("d",))


def test_without_weights_the_log_says_what_the_paper_does(trained, tmp_path, caplog):
    cache = trained / "nodes" / "prepared"
    with caplog.at_level(logging.WARNING):
        divide(CFG, [cache], tmp_path, fold=0, weights=None, workers=0)
    assert "--weights RUN" in caplog.text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (replace(CFG, model=replace(CFG.model, features=(2, 2, 2, 4))), "features:"),
        (replace(CFG, data=replace(CFG.data, phases=("venous",))), "2 phases there and 1 here"),
    ],
)
def test_another_backbone_is_refused(trained, tmp_path, changed, message):
    with refused(trained / "nodes", "of another network", message, hint="whose network"):
        train(changed, [trained / "data"], tmp_path / "run", weights=trained / "nodes")


def test_a_run_that_does_not_segment_nodes_is_no_start(trained, tmp_path):
    run = trained / "identification"
    with refused(run, "segments nothing", hint="segmentation recipe"):
        train(CFG, [trained / "data"], tmp_path / "run", weights=run)
    organs = shutil.copytree(trained / "nodes", tmp_path / "organs")
    config = json.loads((organs / "config.json").read_text())
    config["data"]["target"] = "organs"
    (organs / "config.json").write_text(json.dumps(config))
    with refused(organs, "segments organs, not nodes", hint="whose network"):
        train(CFG, [trained / "data"], tmp_path / "other", weights=organs)


def test_segmented_nodes_are_identified(trained, tmp_path):
    """Above no probability at all every node is metastatic."""
    runs, out = [trained / "nodes", trained / "identification"], tmp_path / "out"
    choices = {"infer.threshold": 0.4, "identify.threshold": 0.0}
    assert segment([trained / "data"], runs=runs, out=out, held_out=True, choices=choices) == 0
    written = results(out)
    assert written["classes"] == ["lymph node", "metastatic lymph node"]
    assert written["networks"] == "nodes without attention + identification"
    for row in written["cases"]:
        folder = out / "cases" / row["id"]
        nodes = json.loads((folder / "prediction.json").read_text())["nodes"]
        assert all(0 < node["probability"] < 1 for node in nodes)
        label = nifti.read_label(folder / "segmentation.nii.gz").array
        assert set(np.unique(label)) == {0, METASTATIC}
        assert row["num_positive_nodes"] == row["num_nodes"] == len(nodes) > 0
        largest = max(node["volume_mm3"] for node in nodes)
        assert row["largest_positive_node_mm3"] == largest
    metrics = evaluate([out], [trained / "data"], tmp_path / "evaluation")
    assert metrics["summary"]["negative_node_recall"] == 0
    assert 0 <= metrics["summary"]["positive_node_recall"] <= 1


def test_identification_needs_nodes_to_identify(trained, tmp_path):
    run = trained / "identification"
    with refused(run, "no run segments any", hint="give a nodes run too"):
        segment([trained / "data"], runs=[run], out=tmp_path)


def test_annotated_nodes_are_identified_and_evaluated(trained, tmp_path):
    out, run = tmp_path / "out", trained / "identification"
    assert identify([trained / "data"], runs=[run], out=out, held_out=True) == 0
    written = results(out)
    assert len(written["cases"]) == 2
    assert {row["part"] for row in written["cases"]} == {"test"}
    metrics = evaluate([out], [trained / "data"], tmp_path / "evaluation")
    summary = metrics["summary"]
    assert summary["num_nodes"] == sum(row["num_nodes"] for row in written["cases"])
    assert summary["num_folds"] == 1
    assert summary["accuracy_of_folds"] == pytest.approx(summary["accuracy"])
    assert "Table IV" in (tmp_path / "evaluation" / "report.html").read_text()


def test_outputs_of_two_commands_are_not_evaluated_together(trained, tmp_path):
    runs = [trained / "nodes", trained / "identification"]
    identify([trained / "data"], runs=runs[1:], out=tmp_path / "identified", held_out=True)
    segment([trained / "data"], runs=runs[:1], out=tmp_path / "segmented", held_out=True)
    # Without identification nobody says which nodes are positive.
    for row in results(tmp_path / "segmented")["cases"]:
        assert row["num_positive_nodes"] is row["largest_positive_node_mm3"] is None
    preds = [tmp_path / "segmented", tmp_path / "identified"]
    with refused(preds[1], "is by lnmet identify", hint="one by one"):
        evaluate(preds, [trained / "data"], tmp_path / "evaluation")


def test_a_run_that_segments_identifies_nothing(trained, tmp_path):
    with refused(trained / "nodes", "tells no metastatic nodes", hint="identify nodes alone"):
        identify([trained / "data"], runs=[trained / "nodes"], out=tmp_path)


def test_data_without_metastatic_nodes_is_not_identified(trained, tmp_path):
    data = shutil.copytree(trained / "data", tmp_path / "data")
    described = json.loads((data / "dataset.json").read_text())
    described["labels"]["something"] = described["labels"].pop("metastatic_lymph_node")
    (data / "dataset.json").write_text(json.dumps(described))
    with refused(data, "names no metastatic lymph nodes", hint="dataset.json"):
        identify([data], runs=[trained / "identification"], out=tmp_path / "out")
