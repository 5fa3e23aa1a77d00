"""Diagnosis of messy folders: masks on the source's grid, a score, and nothing that identifies."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from core.commands.sources import digest
from core.errors import InputError
from core.io.inventory import find_scans
from core.io.nifti import read_label
from core.io.scans import read_scan
from core.phantom.dicom.cohort import write_dicom_cohort
from core.volume import canonical, same_grid
from fee.config import SplitConfig
from fee.infer import STAGES, diagnose
from tests.core.io.dicom.make import save, slices
from tests.fee.tiny import LEARNED, MODELS, THRESHOLDS, config, write_run, write_runs
from tests.refusals import refused

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
    assert not list(out.rglob(".work"))
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
        slices = [row for phase in phases for row in phase["slices"]]
        located = [row for row in slices if row["pancreas"] >= THRESHOLDS["locate"]]
        assert [row for row in slices if row["located"]] == located
        assert case["num_kept"] == len(located)
        assert 0 < len(located) < len(slices)
        votes = [row["tumor"] for row in slices if row["tumor"] is not None]
        assert case["num_empty"] == len(located) - len(votes)
        assert case["score"] == pytest.approx(np.mean(votes), rel=1e-6)
        assert case["decision"] == (
            "tumor" if case["score"] >= THRESHOLDS["diagnose"] else "normal"
        )


def test_masks_lie_on_the_grid_of_their_series_and_only_in_kept_slices(out, cohort):
    for case in results(out)["cases"]:
        folder = out / "cases" / case["id"]
        phases = json.loads((folder / "prediction.json").read_text())["phases"]
        for phase in phases:
            truth = cohort / "masks" / case["id"] / f"{phase['phase']}.nii.gz"
            pred = canonical(read_label(folder / phase["name"] / "segmentation.nii.gz"))
            assert same_grid(canonical(read_label(truth)), pred)
            voting = [row["tumor"] is not None for row in phase["slices"]]
            np.testing.assert_array_equal(pred.array.any(axis=(1, 2)), voting)
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
        probs = [row["tumor"] for row in case["explained"]]
        assert len(probs) == 3
        assert probs == sorted(probs, reverse=case["decision"] == "tumor")
        for row in case["explained"]:
            png = out / "cases" / case["id"] / row["file"]
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


def test_what_an_earlier_call_diagnosed_is_not_done_again_unless_the_call_differs(
    cohort, runs, tmp_path
):
    patient, out = cohort / "patients" / "phantom_000", tmp_path / "out"
    assert diagnose([patient], runs, out) == 0
    (first,) = results(out)["cases"]
    assert diagnose([patient], runs, out) == 0
    assert results(out)["cases"] == [first]
    assert diagnose([patient], runs, out, choices={"infer.rule": "vote"}) == 0
    written = results(out)
    assert written["choices"] == {"infer.rule": "vote"}
    assert (written["rule"], written["threshold"]) == ("vote", THRESHOLDS["diagnose"])
    assert written["cases"][0]["call"] != first["call"]


def test_the_test_part_of_a_cohort_is_taken_if_asked_for(cohort, runs, tmp_path):
    assert diagnose([cohort], runs, tmp_path, held_out=True) == 0
    assert [case["id"] for case in results(tmp_path)["cases"]] == ["phantom_001"]


def test_the_cohorts_own_table_of_phases_holds_for_its_held_out_patients(cohort, runs, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("patients", "patients.csv"):
        (data / name).symlink_to(cohort / name)
    assert diagnose([data], runs, tmp_path / "first", held_out=True) == 0
    phases = results(tmp_path / "first")["cases"][0]["phases"]
    rows = "".join(f"{phase['series']},delayed,phantom_001\n" for phase in phases)
    (data / "phases.csv").write_text(f"series,phase,patient\n{rows}")
    assert diagnose([data], runs, tmp_path / "second", held_out=True) == 0
    (case,) = results(tmp_path / "second")["cases"]
    assert {phase["phase"] for phase in case["phases"]} == {"delayed"}


def test_words_about_labels_are_for_held_out_patients(cohort, runs, tmp_path):
    with refused(None, "--labels is for --held-out"):
        diagnose([cohort], runs, tmp_path, labels="*=background")


def test_runs_split_by_image_hold_no_patients_out(cohort, tmp_path):
    for task in MODELS:
        cfg = replace(config(task), split=SplitConfig(by="image"))
        write_run(tmp_path / "runs" / task, task, cfg)
    with pytest.raises(InputError, match="not patients"):
        diagnose([cohort], [tmp_path / "runs"], tmp_path / "out", held_out=True)


def test_patients_that_were_learned_from_are_marked(out, cohort, tmp_path):
    scan = next(s for s in find_scans(cohort / "patients" / "phantom_000")[0])
    image = digest(canonical(read_scan(scan)).array)
    for task in MODELS:
        learned = LEARNED._replace(images={image: "val"})
        write_run(tmp_path / "runs" / task, task, division=learned)
    folder = cohort / "patients" / "phantom_000"
    assert diagnose([folder], [tmp_path / "runs"], tmp_path / "out") == 0
    assert results(tmp_path / "out")["cases"][0]["part"] == "val"
    assert results(out)["cases"][0]["part"] is None


def write_studies(folder: Path, studies: dict[str, dict[str, str]]) -> Path:
    """Small series, each of a study of its own."""
    for name, header in studies.items():
        values = np.random.default_rng(0).integers(-1000, 300, (10, 32, 32), np.int16)
        save(folder / name, slices(values, series=name, **header))
    return folder


def test_each_study_of_a_patient_has_a_decision_of_its_own(runs, tmp_path):
    old = {"StudyInstanceUID": "1.2.1", "StudyDate": "20190101"}
    new = {"StudyInstanceUID": "1.2.2", "StudyDate": "20200101"}
    patient = write_studies(tmp_path / "p", {"a": old, "b": new})
    other = write_studies(tmp_path / "p-2", {"c": new})
    out = tmp_path / "out"
    assert diagnose([patient, other], runs, out) == 0
    cases = results(out)["cases"]
    assert [case["id"] for case in cases] == ["p", "p-3", "p-2"]
    assert [case["study"] for case in cases] == [0, 1, 0]
    assert [[phase["series"] for phase in case["phases"]] for case in cases[:2]] == [["b"], ["a"]]
    assert ["study" in case["note"] for case in cases] == [True, True, False]
    assert [case["num_used"] for case in cases] == [10, 10, 10]
    # A second call knows both studies.
    assert diagnose([patient, other], runs, out) == 0
    assert results(out)["cases"] == cases


def test_two_patients_under_one_path_fail_and_the_others_do_not(runs, tmp_path):
    who = [{"PatientID": f"SECRET{n}", "StudyInstanceUID": f"1.2.{n}"} for n in range(2)]
    mixed = write_studies(tmp_path / "mixed", {"a": who[0], "b": who[1]})
    good = write_studies(tmp_path / "good", {"a": who[0]})
    out = tmp_path / "out"
    assert diagnose([mixed, good], runs, out) == 1
    bad, fine = results(out)["cases"]
    assert (bad["status"], fine["status"]) == ("failed", "done")
    assert "2 patients" in bad["error"]
    assert "SECRET" not in (out / "results.json").read_text()


def test_damaged_files_of_a_patient_make_the_exit_status_1(runs, tmp_path):
    patient = write_studies(tmp_path / "p", {"a": {}, "b": {"SeriesDescription": "arterial"}})
    path = sorted((patient / "a").iterdir())[0]
    path.write_bytes(path.read_bytes()[:-20])
    assert diagnose([patient], runs, tmp_path / "out") == 1
    (case,) = results(tmp_path / "out")["cases"]
    assert case["status"] == "done"
    assert case["num_problems"] == case["num_error"] + case["num_failed_series"] > 0


def test_an_interrupted_call_keeps_its_index_and_goes_on(runs, tmp_path, monkeypatch):
    patient, out = write_studies(tmp_path / "p", {"a": {}}), tmp_path / "out"

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fee.infer.diagnose_study", interrupt)
        with pytest.raises(KeyboardInterrupt):
            diagnose([patient], runs, out)
    assert (out / "cases" / "p" / ".work" / "headers.sqlite").is_file()
    assert diagnose([patient], runs, out) == 0
    assert not (out / "cases" / "p" / ".work").exists()
