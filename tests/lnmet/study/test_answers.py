"""Answers of a fold: who is asked, whose threshold counts, and what nobody can answer."""

from pathlib import Path

import numpy as np
import pytest

from core import json_io
from core.commands import results
from core.errors import InputError
from lnmet.data import Prepared
from lnmet.radiomics.run import Measured
from lnmet.status.infer import StatusSystem
from lnmet.status.methods import CT_REPORTED, NODES, OURS, RADIOMICS, RADIOMICS_CT
from lnmet.status.volumes import LARGEST
from lnmet.study import answers, signatures
from lnmet.study.answers import FILE, write_answers
from lnmet.study.plan import Asked
from tests.lnmet.status.phantoms import cases_of, tiny_status
from tests.lnmet.study.test_merge import plan

STATUSES = "+-+-+-"
PARTS = dict(zip("012345", ("train", "train", "val", "val", "test", "test"), strict=True))
VOLUMES = {"0": 10.0, "1": 0.0, "2": 90.0, "3": 40.0, "4": 60.0}
"""mm³; nobody told of the last case."""


@pytest.fixture(scope="module")
def cases() -> list[Prepared]:
    return cases_of(STATUSES)


@pytest.fixture
def asked(cases, tmp_path) -> Asked:
    files = {case.id: [tmp_path / f"{case.id}_0001.nii.gz"] for case in cases}
    return Asked(cases, files, PARTS, tmp_path / "features")


@pytest.fixture
def segmented(asked, tmp_path) -> Path:
    rows = [
        {"id": id_, "input": files[0], "status": "done", LARGEST: VOLUMES[id_]}
        if id_ in VOLUMES
        else {"id": id_, "input": files[0], "status": "failed", "error": "why"}
        for id_, files in asked.files.items()
    ]
    results.write(tmp_path / "segmented", rows, skipped=[], provenance={})
    return tmp_path / "segmented"


def answered(asked, segmented, tmp_path, **words) -> dict:
    write_answers(
        plan(tmp_path), asked, tmp_path / "fold", segmented, tmp_path / "answers", **words
    )
    return json_io.read_json(tmp_path / "answers" / FILE)


def test_nodes_alone_are_judged_by_the_threshold_of_the_validation_part(asked, segmented, tmp_path):
    content = answered(asked, {NODES: segmented}, tmp_path)
    # 90 mm³ is positive and 40 mm³ is not; the least volume that parts them is taken.
    assert content["thresholds"] == {NODES: 90.0}
    by_id = {row["id"]: row for row in content["rows"]}
    assert {id_: row["part"] for id_, row in by_id.items()} == {
        id_: part for id_, part in PARTS.items() if part != "train"
    }
    assert {id_: dict(row["calls"]) for id_, row in by_id.items()} == {
        "2": {NODES: True},
        "3": {NODES: False},
        "4": {NODES: False},
        "5": {},
    }
    assert by_id["4"]["scores"] == {NODES: 60.0}
    assert [row["status"] for row in by_id.values()] == [True, False, True, False]


def test_without_a_segmentation_no_rule_answers(asked, tmp_path):
    content = answered(asked, {NODES: tmp_path / "nowhere"}, tmp_path)
    assert content["thresholds"] == {}
    assert all(row["calls"] == {} for row in content["rows"])


def test_a_report_needs_no_network(asked, tmp_path):
    reported = [c._replace(ct_reported=c.id == "4" if c.id in "45" else None) for c in asked.cases]
    content = answered(asked._replace(cases=reported), {}, tmp_path)
    calls = {row["id"]: row["calls"] for row in content["rows"]}
    assert calls == {"2": {}, "3": {}, "4": {CT_REPORTED: True}, "5": {CT_REPORTED: False}}


def test_another_data_set_is_judged_by_the_thresholds_of_the_fold(asked, segmented, tmp_path):
    json_io.write_json(tmp_path / "own.json", {"thresholds": {NODES: 50.0}, "rows": []})
    other = asked._replace(parts={})
    content = answered(other, {NODES: segmented}, tmp_path, chosen=tmp_path / "own.json")
    assert content["thresholds"] == {NODES: 50.0}
    calls = {row["id"]: row["calls"].get(NODES) for row in content["rows"]}
    assert calls == {"0": False, "1": False, "2": True, "3": False, "4": True, "5": None}


@pytest.fixture
def told(monkeypatch, tmp_path) -> list[float]:
    """A network with nodes and one without, and what the first was told of nodes."""
    asked = []

    def load_system(runs, mesh) -> StatusSystem:
        (name,) = runs
        cfg = tiny_status(f"tiny-{name}")

        def ask(scan, volume_mm3):
            if cfg.model.nodes:
                asked.append(volume_mm3)
            return np.tile(np.log([[0.25, 0.75]]), (9, 1)).astype(np.float32)

        return StatusSystem(cfg, [ask])

    monkeypatch.setattr(answers, "open_runs", lambda paths: [path.name for path in paths])
    monkeypatch.setattr(answers, "load_system", load_system)
    for name in ("status", "status-no-nodes"):
        (tmp_path / "fold" / name).mkdir(parents=True)
    return asked


def test_networks_answer_as_far_as_they_can_be_told(asked, segmented, tmp_path, told):
    cases = [case._replace(tumor=None) if case.id == "3" else case for case in asked.cases]
    content = answered(asked._replace(cases=cases), {NODES: segmented}, tmp_path)
    scores = {row["id"]: row["scores"] for row in content["rows"]}
    assert {id_ for id_, own in scores.items() if OURS in own} == {"2", "4"}
    assert {id_ for id_, own in scores.items() if "tumor alone" in own} == {"2", "4", "5"}
    assert told == [90.0, 60.0]
    assert scores["4"][OURS] == pytest.approx(0.75)
    assert content["thresholds"][OURS] == tiny_status().infer.threshold


def test_a_network_is_not_asked_of_a_phase_that_a_case_lacks(asked, tmp_path, told):
    cases = [case._replace(phases=("venous",)) for case in asked.cases]
    content = answered(asked._replace(cases=cases), {}, tmp_path)
    assert all(row["scores"] == {} for row in content["rows"])


def test_radiomics_that_cannot_be_measured_keeps_no_other_answer(
    asked, segmented, tmp_path, monkeypatch, caplog
):
    def missing(*_, **__):
        raise InputError("PyRadiomics is not installed", hint="make radiomics")

    monkeypatch.setattr(signatures, "extract_all", missing)
    monkeypatch.setattr(signatures, "read_signature", lambda path: None)
    json_io.write_json(tmp_path / "fold" / "radiomics" / signatures.SIGNATURE, {})
    content = answered(asked, {NODES: segmented}, tmp_path)
    assert list(content["thresholds"]) == [NODES]
    assert "PyRadiomics is not installed; make radiomics" in caplog.text


def test_radiomics_answers_with_and_without_the_report(asked, tmp_path, monkeypatch):
    """Log-odds of the only feature, and a report that adds 2 to them."""
    value = {id_: float(number) - 3.5 for number, id_ in enumerate("012345")}

    class Table(Measured):
        def table(self, ids, phases):
            return np.array([[value[id_]] for id_ in ids])

    measured = Table({id_: {} for id_ in "01245"}, {"3": "no tumor"})
    monkeypatch.setattr(signatures, "_measured", lambda *_: measured)
    monkeypatch.setattr(signatures, "read_signature", lambda path: None)
    monkeypatch.setattr(signatures, "score", lambda _, x: 1 / (1 + np.exp(-x[:, 0])))
    monkeypatch.setattr(signatures, "log_odds", lambda _, x: x[:, 0])
    folder = tmp_path / "fold" / "radiomics"
    json_io.write_json(folder / signatures.SIGNATURE, {})
    model = {"weights": [1.0, 2.0], "intercept": 0.0, "ridge": 1.0}
    json_io.write_json(folder / signatures.WITH_CT, model)
    cases = [c._replace(ct_reported=None if c.id == "5" else True) for c in asked.cases]
    content = answered(asked._replace(cases=cases), {}, tmp_path)
    scores = {row["id"]: row["scores"] for row in content["rows"]}
    assert {id_ for id_, own in scores.items() if RADIOMICS in own} == {"2", "4", "5"}
    assert scores["4"][RADIOMICS] == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert {id_ for id_, own in scores.items() if RADIOMICS_CT in own} == {"2", "4"}
    assert scores["2"][RADIOMICS_CT] == pytest.approx(1 / (1 + np.exp(-(-1.5 + 2.0))))
    assert content["thresholds"] == {RADIOMICS: 0.5, RADIOMICS_CT: 0.5}
