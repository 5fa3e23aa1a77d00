"""FEE-DL as a user runs it: hospital exports in, diagnoses out, one line for bad input."""

import csv
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest

from fee.config import ScreenConfig
from tests.core.train import hosts
from tests.e2e.program import Program, leaves, results, steps
from tests.fee import tiny
from tests.fee.real_export import write_real_export

pytestmark = pytest.mark.e2e
fee = Program("fee")

SIZE = 64
SMALL = ["--screen.size", SIZE, "--prepare.size", SIZE, "--prepare.window-hu", 20, 160]
FEW = [*SMALL, "--model.width", 4, "--model.convs", 1, "--data.batch", 8, "--run.epochs", 1]
LONGER = [*FEW, "--run.epochs", 2, "--run.checkpoint-every", 5, "--run.log-every", 1]
"""Of the segmentation: long enough to be killed on the way."""


class Trained:
    """A phantom cohort, its cache, and three networks that learned next to nothing."""

    def __init__(self, root: Path) -> None:
        self.data, self.cache, self.runs = root / "phantoms", root / "cache", root / "runs"
        self.patients = self.data / "patients"

    def diagnose(self, *patients: object, out: Path):
        """Diagnose with the bundle."""
        return fee("diagnose", *patients, "--run", self.runs, "--out", out)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Trained:
    here = Trained(tmp_path_factory.mktemp("fee"))
    fee.done("phantom", here.data, "--num-cases", 6, "--seed", 5, "--size", SIZE)
    fee.done("prepare", "--data", here.data, "--out", here.cache, *SMALL)
    for task in ("locate", "segment", "diagnose"):
        words = ("--data", here.cache, "--out", here.runs / task)
        fee.done("train", f"tiny-{task}", *words, *(LONGER if task == "segment" else FEW))
    return here


def test_a_cohort_of_exports_is_diagnosed_and_evaluated(trained: Trained, tmp_path):
    patients = sorted(trained.patients.iterdir())
    assert any(path.suffix == ".zip" for path in patients)
    process = trained.diagnose(*patients, out=tmp_path / "out")
    assert process.returncode == 0, process.stderr
    cases = results(tmp_path / "out")["cases"]
    assert [case["id"] for case in cases] == [path.stem for path in patients]
    assert {case["decision"] for case in cases} <= {"tumor", "normal"}
    assert all(case["screening"] in process.stderr for case in cases)
    words = ("--pred", tmp_path / "out", "--truth", trained.data, "--out", tmp_path / "eval")
    assert "accuracy" in fee.done("evaluate", *words)
    metrics = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert sorted(row["id"] for row in metrics["rows"]) == [case["id"] for case in cases]
    # All of them were learned from, and that is said.
    assert metrics["summary"]["num_seen"] == len(cases)
    assert metrics["summary"]["num_patients"] == 0
    for folder in ("out", "eval"):
        page = (tmp_path / folder / "report.html").read_text()
        assert "data:image/png;base64," in page
        assert "https://" not in page


def test_of_a_real_messy_export_exactly_the_axial_ct_is_diagnosed(shared_data, tmp_path):
    # Networks that take every slice of 512 × 512 and look at it small: the paper's own rule.
    for task in tiny.MODELS:
        cfg = replace(tiny.config(task), screen=ScreenConfig())
        tiny.write_run(tmp_path / "runs" / task, task, cfg)
    export = write_real_export(tmp_path / "patient", shared_data)
    out = tmp_path / "out"
    process = fee("diagnose", export, "--run", tmp_path / "runs", "--out", out)
    assert process.returncode == 1, process.stderr
    (case,) = results(out)["cases"]
    assert case["status"] == "done"
    (phase,) = case["phases"]
    assert (case["num_used"], phase["num_slices"], phase["phase"]) == (20, 20, "venous")
    with (out / "cases" / "patient" / "screening.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert all(line["reason"] for line in lines if line["bucket"] != "used")
    counts = Counter(line["bucket"] for line in lines)
    told = [case[f"num_{bucket}"] for bucket in ("used", "skipped", "error")]
    assert [counts[bucket] for bucket in ("used", "skipped", "error")] == told
    assert counts["error"] >= 1
    written = nib.load(out / "cases" / "patient" / phase["name"] / "segmentation.nii.gz")
    truth = nib.load(shared_data / "ct_abdomen" / "example_ct_dicom_seg.nii.gz")
    # Stored in other orders of axes: voxel by voxel in space both are one grid.
    ours, theirs = map(nib.as_closest_canonical, (written, truth))
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=0.01)


def test_highdicom_opens_the_segmentation_of_a_diagnosis(trained: Trained, tmp_path):
    patient = next(path for path in sorted(trained.patients.iterdir()) if path.is_dir())
    # A network that calls every slice one with pancreas, so that something is segmented.
    runs = tmp_path / "runs"
    shutil.copytree(trained.runs, runs)
    config = json.loads((runs / "locate" / "config.json").read_text())
    config["infer"]["threshold"] = 1e-6
    (runs / "locate" / "config.json").write_text(json.dumps(config))
    fee.done("diagnose", patient, "--run", runs, "--out", tmp_path / "out")
    (case,) = results(tmp_path / "out")["cases"]
    known = {}
    for path in patient.rglob("*"):
        if path.is_file() and pydicom.misc.is_dicom(path):
            ds = pydicom.dcmread(path, stop_before_pixels=True)
            known.setdefault(ds.get("SeriesInstanceUID"), set()).add(ds.get("SOPInstanceUID"))
    for phase in case["phases"]:
        folder = tmp_path / "out" / "cases" / case["id"] / phase["name"]
        seg = highdicom.seg.segread(folder / "segmentation.dcm")
        (referred,) = seg.ReferencedSeriesSequence
        sources = {uid for _, _, uid in seg.get_source_image_uids()}
        assert sources <= known[referred.SeriesInstanceUID]
        assert sources


def test_a_killed_training_resumes_to_the_same_bits(trained: Trained, tmp_path):
    words = ["train", "tiny-segment", "--data", trained.cache, *LONGER]
    whole = trained.runs / "segment"
    fee.kill_at(7, tmp_path / "killed", *words)
    fee.done(*words, "--out", tmp_path / "killed", "--resume")
    for a, b in zip(leaves(whole), leaves(tmp_path / "killed"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert steps(tmp_path / "killed") == steps(whole)


def test_the_test_part_of_a_cohort_is_diagnosed_and_evaluated(trained: Trained, tmp_path):
    runs = tmp_path / "runs"
    for task in ("locate", "segment", "diagnose"):
        words = ("--data", trained.cache, "--out", runs / task, "--split.parts", 4, 1, 1)
        fee.done("train", f"tiny-{task}", *words, *FEW, "--data.batch", 2)
    call = ("diagnose", trained.data, "--run", runs, "--held-out", "--infer.rule", "vote")
    fee.done(*call, "--out", tmp_path / "out")
    (case,) = results(tmp_path / "out")["cases"]
    held_out = json.loads((runs / "locate" / "folds.json").read_text())["test"]
    assert [case["id"]] == held_out
    assert case["part"] == "test"
    words = ("--pred", tmp_path / "out", "--truth", trained.data, "--out", tmp_path / "eval")
    fee.done("evaluate", *words)
    metrics = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert metrics["summary"]["num_patients"] == 1
    assert metrics["summary"]["num_seen"] == 0


def test_two_hosts_train_evaluate_and_finish(trained: Trained, tmp_path):
    words = ("--data", trained.cache, "--out", tmp_path / "run", "--split.parts", 4, 1, 1, *FEW)
    hosts.run("fee", "train", "tiny-locate", *map(str, words), "--distributed")
    assert (tmp_path / "run" / "manifest.json").is_file()
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert any("evaluation" in json.loads(line) for line in lines)


def test_one_patient_without_ct_fails_alone(trained: Trained, tmp_path):
    none = tmp_path / "none"
    none.mkdir()
    (none / "letter.txt").write_text("no CT here")
    good = next(path for path in sorted(trained.patients.iterdir()) if path.is_dir())
    process = trained.diagnose(none, good, out=tmp_path / "out")
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    cases = {case["id"]: case for case in results(tmp_path / "out")["cases"]}
    assert cases[good.name]["status"] == "done"
    assert cases["none"]["status"] == "failed"
    assert "no series to diagnose" in cases["none"]["error"]
    assert cases["none"]["error"] in process.stderr


def test_a_call_that_is_wrong_is_refused_in_one_line(trained: Trained, tmp_path):
    out = ("--out", tmp_path / "out")
    empty = tmp_path / "empty"
    empty.mkdir()
    for command in (("train", "tiny-locate", "--data", empty), ("prepare", "--data", empty)):
        assert str(empty) in fee.refused(*command, *out)
    patient = sorted(trained.patients.iterdir())[0]
    absent = ("diagnose", tmp_path / "absent", "--run", trained.runs)
    assert "absent: no such file or folder" in fee.refused(*absent, *out)
    assert str(empty) in fee.refused("diagnose", patient, "--run", empty, *out)
    two = ("--run", trained.runs / "locate", "--run", trained.runs / "segment")
    assert "diagnose" in fee.refused("diagnose", patient, *two, *out)
    assert "unknown recipe 'unet'" in fee.refused("train", "unet", "--data", trained.cache, *out)
    other = fee.refused("train", "tiny-locate", "--data", trained.cache, *out)
    assert "prepare" in other
    weights = ("--weights", tmp_path / "absent.safetensors")
    call = ("train", "tiny-locate", "--data", trained.cache, *FEW, *weights)
    assert "absent.safetensors: no such file" in fee.refused(*call, *out)
    assert "must be positive; got 0" in fee.refused("phantom", tmp_path / "no", "--num-cases", 0)
