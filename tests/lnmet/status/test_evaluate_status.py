"""Status against truth: of tables and annotated nodes, of cases that no run learned from."""

import base64
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from core import atomic, json_io
from core.commands import results
from core.commands.evaluate import Matched, Prediction, Truth
from core.io import nifti
from lnmet.evaluate import evaluate
from lnmet.status.evaluate import evaluate_status, statuses
from lnmet.status.methods import NODES, OURS
from tests.lnmet.tiny import volume, write_raw

IDS = {"lymph node": 1, "metastatic lymph node": 2}
SHAPE = (3, 4, 5)
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
"""A picture of one gray point."""


class Told(NamedTuple):
    """What a truth knows of a case."""

    id: str


def label(*ids: int):
    array = np.zeros(SHAPE, np.uint8)
    for place, id_ in enumerate(ids):
        array[0, place] = id_
    return volume(array)


def data_set(root: Path, labels: dict[str, object], ids=IDS) -> Path:
    scan = volume(np.zeros(SHAPE, np.int16))
    return write_raw(root, {case: [scan, scan] for case in labels}, labels, ids)


def by_name(data: Path) -> dict[str, bool | None]:
    return {path.name[: -len("_0001.nii.gz")]: told for path, told in statuses([data]).items()}


def test_annotated_nodes_tell_the_status(tmp_path):
    data = data_set(tmp_path, {"a": label(1, 2), "b": label(1), "c": label()})
    assert by_name(data) == {"a": True, "b": False, "c": False}


def test_nodes_of_unknown_kind_tell_nothing(tmp_path):
    data = data_set(tmp_path, {"a": label(1)}, {"lymph node": 1})
    assert by_name(data) == {"a": None}


def test_a_table_decides_where_it_tells(tmp_path):
    data = data_set(tmp_path, {"a": label(2), "b": label(2), "c": label()})
    (data / "status.csv").write_text("case,status\na,pN0\nb,\n")
    assert by_name(data) == {"a": False, "b": True, "c": False}


def test_cases_of_a_patient_have_one_status(tmp_path):
    """One metastatic node in any of them makes a positive patient, as for training."""
    data = data_set(tmp_path, {"100000_00001": label(2), "100000_00002": label(1)})
    assert by_name(data) == {"100000_00001": True, "100000_00002": True}
    (data / "status.csv").write_text("case,status\n100000_00002,0\n")
    assert by_name(data) == {"100000_00001": False, "100000_00002": False}


def test_those_that_a_run_learned_from_do_not_count(tmp_path):
    cases = {"a": label(2), "b": label(1), "c": label(2), "d": label(1), "e": label(2)}
    data = data_set(tmp_path, cases)
    paths = {path.name[0]: path for path in statuses([data])}
    more = {"b": {"part": "train"}, "c": {"part": "val"}, "d": {"status": "failed"}}
    more |= {"e": {"group": "another system"}}
    rows, matched = [], []
    for number, case in enumerate(cases):
        plain = {"group": "nodes", "status": "done", "part": "test", "fold": 1}
        rows.append({"id": case, "patient": case, **plain, **more.get(case, {})})
        answer = {"scores": {OURS: number / 10}, "calls": {OURS: False}}
        prediction = Prediction(answer, tmp_path, tmp_path, {}, "nodes")
        matched.append(Matched(prediction, Truth(case, paths[case], (case,), Told(case))))
    metrics = {"rows": rows, "groups": {"nodes": {}, "another system": {}}}
    told = evaluate_status(metrics, matched, [data])
    assert told["rows"] == [
        {
            **{"id": "a", "patient": "a", "status": True, "fold": 1},
            **{"scores": {OURS: 0.0}, "calls": {OURS: False}},
        }
    ]
    (ours,) = told["methods"]
    assert (ours["num_cases"], ours["sensitivity"]) == (1, 0)
    assert told["comparisons"] == []


@pytest.fixture
def staged(tmp_path) -> tuple[Path, Path]:
    """What `lnmet stage` leaves of four patients, and the truth."""
    data = data_set(tmp_path / "data", {c: label(1 + (c in "ab")) for c in "abcd"})
    rows = []
    for number, (case, decision) in enumerate(
        zip("abcd", ("positive", "negative", "negative", "not told"), strict=True)
    ):
        folder = tmp_path / "out" / "cases" / case
        nifti.write(folder / "segmentation.nii.gz", label(1))
        atomic.write_bytes(folder / "overlay.png", PNG)
        score = None if decision == "not told" else 0.9 - 0.3 * number
        row = {"id": case, "status": "done", "decision": decision, "score": score}
        row |= {"input": data / "imagesTr" / f"{case}_0001.nii.gz", "seconds": 1.0, "part": None}
        row |= {"scores": {} if score is None else {OURS: score}, "note": ""}
        row |= {"calls": {} if score is None else {OURS: decision == "positive"}}
        row |= dict.fromkeys(("num_nodes", "pdac_ml"))
        rows.append(row)
        json_io.write_json(folder / "prediction.json", row)
    facts = {"command": "lnmet stage", "networks": "", "status_networks": [OURS]}
    results.write(
        *(tmp_path / "out", rows),
        skipped=[], provenance={}, runs=[], fold=None, choices={}, **facts,
    )  # fmt: skip
    return tmp_path / "out", data


def test_evaluate_prints_table_6_of_staged_patients(staged, tmp_path, capsys):
    out, data = staged
    metrics = evaluate([out], [data], tmp_path / "evaluated")
    (ours,) = metrics["status"]["methods"]
    # Both positive patients are above the negative one that was answered, one of them is called.
    assert (ours["num_cases"], ours["auc"]) == (3, 1)
    assert (ours["sensitivity"], ours["specificity"]) == (0.5, 1)
    printed = capsys.readouterr().out
    assert OURS in printed
    assert "0.750" in printed  # the balanced accuracy
    page = (tmp_path / "evaluated" / "report.html").read_text()
    assert "Beside Table VI of the paper" in page
    assert "not told" in page
    assert NODES not in page
