"""Diagnosis of messy folders: masks on the source's grid, a score, and nothing that identifies."""

import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from core.errors import InputError
from core.io.nifti import read_label
from core.phantom.dicom.cohort import write_dicom_cohort
from core.volume import canonical, same_grid
from fee.infer import STAGES, diagnose
from tests.fee.tiny import THRESHOLDS, write_runs

NUM_SLICES = 12


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_runs(tmp_path_factory.mktemp("fee") / "runs")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """A folder and a zip."""
    return write_dicom_cohort(
        tmp_path_factory.mktemp("fee") / "cohort",
        num_patients=2,
        seed=0,
        shape=(NUM_SLICES, 40, 48),
        spacing_mm=(10.0, 8.0, 7.0),
        diameters_mm=(30.0, 40.0),
    )


@pytest.fixture(scope="module")
def out(cohort, runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("fee") / "out"
    assert diagnose(sorted((cohort / "patients").iterdir()), [runs[0].parent], out) == 0
    return out


def results(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


def test_a_folder_and_a_zip_have_an_answer_each_under_their_names(out):
    cases = results(out)["cases"]
    assert [(case["id"], case["status"]) for case in cases] == [
        ("phantom_000", "done"),
        ("phantom_001", "done"),
    ]
    for case in cases:
        assert sorted(phase["phase"] for phase in case["phases"]) == ["arterial", "venous"]
        assert [phase["num_slices"] for phase in case["phases"]] == [NUM_SLICES] * 2
        assert case["num_used"] == 2 * NUM_SLICES
        assert case["num_skipped"] > 0
        assert case["num_error"] == 0
        assert set(case["stage_seconds"]) == set(STAGES)
        assert 0 < sum(case["stage_seconds"].values()) <= case["seconds"]
        assert not (out / "cases" / case["id"] / ".work").exists()


def test_the_score_is_the_mean_over_the_kept_slices_of_all_phases(out):
    for case in results(out)["cases"]:
        path = out / "cases" / case["id"] / "prediction.json"
        phases = json.loads(path.read_text())["phases"]
        slices = [one for phase in phases for one in phase["slices"]]
        kept = [one["tumor"] for one in slices if one["pancreas"] >= THRESHOLDS["locate"]]
        assert [one["tumor"] for one in slices if one["tumor"] is not None] == kept
        assert case["num_kept"] == len(kept)
        assert 0 < len(kept) < len(slices)
        assert case["score"] == pytest.approx(np.mean(kept), rel=1e-6)
        assert case["decision"] == ("tumor" if case["score"] >= 0.5 else "normal")


def test_masks_lie_on_the_grid_of_their_series_and_only_in_kept_slices(out, cohort):
    for case in results(out)["cases"]:
        folder = out / "cases" / case["id"]
        phases = json.loads((folder / "prediction.json").read_text())["phases"]
        for phase in phases:
            truth = cohort / "masks" / case["id"] / f"{phase['phase']}.nii.gz"
            pred = canonical(read_label(folder / phase["name"] / "segmentation.nii.gz"))
            assert same_grid(canonical(read_label(truth)), pred)
            kept = [one["tumor"] is not None for one in phase["slices"]]
            assert not pred.array[~np.array(kept)].any()
            assert phase["pancreas_ml"] == pytest.approx(pred.array.sum() * pred.voxel_mm3 / 1000)


def test_a_dicom_seg_refers_to_its_series(out, cohort):
    sources = [
        pydicom.dcmread(path, stop_before_pixels=True)
        for path in (cohort / "patients" / "phantom_000").rglob("*.dcm")
    ]
    by_series = {ds.SeriesInstanceUID: ds.SeriesDescription for ds in sources}
    for phase in ("arterial", "venous"):
        seg = pydicom.dcmread(out / "cases" / "phantom_000" / phase / "segmentation.dcm")
        (referred,) = seg.ReferencedSeriesSequence
        assert by_series[referred.SeriesInstanceUID] == f"{phase.capitalize()} Phase"


def test_the_slices_that_decided_are_explained(out):
    for case in results(out)["cases"]:
        probs = [one["tumor"] for one in case["explained"]]
        assert len(probs) == 3
        assert probs == sorted(probs, reverse=case["decision"] == "tumor")
        for one in case["explained"]:
            png = out / "cases" / case["id"] / one["file"]
            assert png.read_bytes().startswith(b"\x89PNG")
        assert (out / "cases" / case["id"] / "overlay.png").is_file()


def test_every_file_has_its_line_in_the_screening(out, cohort):
    text = (out / "cases" / "phantom_000" / "screening.csv").read_text().splitlines()
    files = [p for p in (cohort / "patients" / "phantom_000").rglob("*") if p.is_file()]
    assert len(text) == 1 + len(files)


def identity(cohort: Path) -> str:
    first = next((cohort / "patients" / "phantom_000").rglob("*.dcm"))
    return str(pydicom.dcmread(first, stop_before_pixels=True).PatientID)


def test_nothing_identifies_the_patient_unless_asked_for(out, cohort, runs, tmp_path, caplog):
    name = identity(cohort)
    texts = [p for p in out.rglob("*") if p.suffix in (".json", ".csv", ".html")]
    assert len(texts) >= 6
    assert not any(name in path.read_text() for path in texts)
    patient = cohort / "patients" / "phantom_000"
    caplog.set_level("DEBUG")
    assert diagnose([patient], runs, tmp_path, identify=True) == 0
    assert results(tmp_path)["cases"][0]["patient_id"] == name
    assert name in (tmp_path / "report.html").read_text()
    assert name not in (tmp_path / "cases" / "phantom_000" / "screening.csv").read_text()
    assert name not in caplog.text


def test_one_bad_patient_fails_alone(cohort, runs, tmp_path, caplog):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "README.txt").write_text("no images")
    good = tmp_path / "good"
    shutil.copytree(cohort / "patients" / "phantom_000" / "SE002", good)
    out = tmp_path / "out"
    assert diagnose([tmp_path / "papers", good], runs, out) == 1
    bad, fine = results(out)["cases"]
    assert (bad["status"], fine["status"]) == ("failed", "done")
    assert "no series to diagnose" in bad["error"]
    assert bad["error"] in caplog.messages
    assert (out / "cases" / "papers" / "screening.csv").is_file()
    assert "no series to diagnose" in (out / "report.html").read_text()


def test_a_path_with_nothing_there_is_refused(runs, tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        diagnose([tmp_path / "absent"], runs, tmp_path / "out")
    assert not (tmp_path / "out").exists()
