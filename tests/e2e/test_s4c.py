"""S4C as a user runs it: real files in, results and report out, one line for bad input."""

import gzip
import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from tests.e2e.conftest import LONGER, RUNS, Trained, s4c
from tests.e2e.program import leaves, results, steps

pytestmark = pytest.mark.e2e


def test_a_phantom_cohort_is_screened_and_evaluated(trained: Trained, tmp_path):
    assert trained.screen(trained.new / "imagesTr", out=tmp_path / "out").returncode == 0
    cases = results(tmp_path / "out")["cases"]
    assert [case["status"] for case in cases] == ["done"] * 4
    assert {case["decision"] for case in cases} <= {"PDAC", "normal"}
    words = ("--pred", tmp_path / "out", "--truth", trained.new, "--out", tmp_path / "eval")
    assert "sensitivity" in s4c.done("evaluate", *words)
    metrics = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert {"sensitivity", "specificity", "auc", "tumor_dsc", "dsc"} <= set(metrics["summary"])
    assert sorted(row["id"] for row in metrics["rows"]) == [case["id"] for case in cases]
    for folder in ("out", "eval"):
        page = (tmp_path / folder / "report.html").read_text()
        assert "data:image/png;base64," in page
        assert "http://" not in page
        assert "https://" not in page


def test_a_classifier_is_trained_on_the_coarse_network_and_answers_beside_it(trained, tmp_path):
    words = ("--data", trained.cache, "--coarse", trained.runs[0], "--out", tmp_path / "run")
    few = ("--run.steps", "20", "--model.width", "4", "--model.groups", "2")
    assert "accuracy" in s4c("train", "tiny-classifier", *words, *few).stderr
    runs = ("--run", trained.runs[0], "--run", tmp_path / "run")
    s4c.done("screen", trained.new / "imagesTr", *runs, "--out", tmp_path / "out")
    written = results(tmp_path / "out")
    assert (written["system"], len(written["runs"])) == ("classification", 2)
    assert [case["status"] for case in written["cases"]] == ["done"] * 4
    words = ("--pred", tmp_path / "out", "--truth", trained.new, "--out", tmp_path / "eval")
    assert "sensitivity" in s4c.done("evaluate", *words)
    assert "give --run" in s4c.refused("screen", trained.new, *runs[2:], "--out", tmp_path / "no")


def test_a_real_ct_comes_back_in_its_own_grid(trained: Trained, shared_data, tmp_path):
    source = shared_data / "ct_abdomen" / "example_ct.nii.gz"
    assert trained.screen(source, out=tmp_path).returncode == 0
    (case,) = results(tmp_path)["cases"]
    written = nib.load(tmp_path / "cases" / case["id"] / "segmentation.nii.gz")
    original = nib.load(source)
    assert written.shape == original.shape
    np.testing.assert_array_equal(written.affine, original.affine)
    for name in ("sform_code", "qform_code"):
        assert written.header[name] == original.header[name]


def test_a_real_dicom_series_comes_back_in_its_own_grid(trained: Trained, shared_data, tmp_path):
    series = shared_data / "ct_abdomen" / "example_ct_dicom"
    assert trained.screen(series, out=tmp_path).returncode == 0
    (case,) = results(tmp_path)["cases"]
    written = nib.load(tmp_path / "cases" / case["id"] / "segmentation.nii.gz")
    truth = nib.load(shared_data / "ct_abdomen" / "example_ct_dicom_seg.nii.gz")
    # The label file is stored LAS, ours as DICOM lists it: axis by axis both are one grid.
    for image in (written, truth):
        assert nib.aff2axcodes(image.affine) != ("R", "A", "S")
    ours, theirs = map(nib.as_closest_canonical, (written, truth))
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=0.01)
    # And both span the same box in space.
    np.testing.assert_allclose(corners(written), corners(truth), atol=0.01)
    # Its UIDs are empty, so nothing can refer to it.
    assert case["files"] == ["segmentation.nii.gz"]
    assert "DICOM-SEG" in case["note"]


def corners(image: nib.Nifti1Image) -> np.ndarray:
    """Lowest and highest coordinate of the voxel centres on each axis, in mm."""
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in image.shape])).reshape(3, -1)
    points = image.affine[:3, :3] @ ends + image.affine[:3, 3:]
    return np.stack([points.min(axis=1), points.max(axis=1)])


def test_one_bad_file_among_good_ones_fails_alone(trained: Trained, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(trained.data / "imagesTr", folder)
    good = sorted(folder.glob("*.nii.gz"))
    whole = gzip.decompress(good[0].read_bytes())
    good[0].write_bytes(gzip.compress(whole)[: len(whole) // 40])
    (folder / "notes.txt").write_text("not a scan")
    process = trained.screen(folder, out=tmp_path / "out")
    assert process.returncode == 1
    written = results(tmp_path / "out")
    failed = [case for case in written["cases"] if case["status"] == "failed"]
    assert [case["id"] for case in failed] == [good[0].name.removesuffix(".nii.gz")]
    assert "truncated" in failed[0]["error"]
    assert len(written["cases"]) == len(good)
    assert good[0].name in process.stderr


def test_runs_that_make_no_cascade_are_refused(trained: Trained, tmp_path):
    images, out = trained.data / "imagesTr", ("--out", tmp_path / "out")
    twice = ("--run", trained.runs[2], "--run", trained.runs[2])
    assert "same patch size" in s4c.refused("screen", images, *twice, *out)
    assert "is no run" in s4c.refused("screen", images, "--run", tmp_path, *out)


def test_nothing_to_screen_is_refused_in_one_line(trained: Trained, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "absent"):
        words = ("screen", tmp_path / name, "--run", trained.runs[2], "--out", tmp_path / "out")
        assert str(tmp_path / name) in s4c.refused(*words)
    assert not (tmp_path / "out").exists()


def test_a_killed_training_resumes_to_the_same_bits(trained: Trained, tmp_path):
    words = ["train", "tiny-16", "--data", trained.cache, *LONGER]
    whole, run = trained.runs[RUNS.index("tiny-16")], tmp_path / "killed"
    s4c.kill_at(7, run, *words)
    s4c.done(*words, "--out", run, "--resume")
    for a, b in zip(leaves(whole), leaves(run), strict=True):
        np.testing.assert_array_equal(a, b)
    assert steps(run) == steps(whole)
