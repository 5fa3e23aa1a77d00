"""What can be given instead of a network, and comes back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.io import nifti
from core.volume import canonical
from lnmet import stage
from lnmet.labels import PDAC
from tests.lnmet.stage.patient import FLIPPED, only, organ_map, results, scans, tumor_mask, written
from tests.lnmet.test_segmentation import SPACING
from tests.refusals import refused

ALL = ["organs and vessels", "tumor", "lymph nodes", "identification", "status"]


def test_without_any_run_every_stage_without_a_network_is_told(patient, tmp_path):
    assert stage.stage(patient.inputs, out=tmp_path / "out") == 0
    written = results(tmp_path / "out")
    assert written["without_network"] == ALL
    row, folder = only(tmp_path / "out")
    assert (row["decision"], row["score"], row["num_nodes"], row["pdac_ml"]) == (
        *("not told", None),
        *(None, None),
    )
    assert row["files"] == ["segmentation.nii.gz"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"No trained network was given for: {', '.join(ALL)}." in page
    assert "No network was given that tells the status." in page
    assert not nifti.read_label(folder / "segmentation.nii.gz").array.any()


def test_attention_is_made_of_given_organs(patient, tmp_path):
    stage.stage(patient.inputs, out=tmp_path / "out", organs=patient.organs)
    _, folder = only(tmp_path / "out")
    attention = canonical(written(folder / "attention.nii.gz")).array
    assert attention.max() == pytest.approx(1, abs=0.01)
    assert attention[8, 14, 10] > 0.9  # 5 mm from the aorta
    assert results(tmp_path / "out")["without_network"] == ALL[1:]


def test_what_is_given_comes_back_in_the_orientation_of_the_scan(patient, tmp_path):
    given = {"organs": patient.organs, "pdac": patient.pdac}
    stage.stage(patient.inputs, out=tmp_path / "out", **given)
    row, folder = only(tmp_path / "out")
    assert row["pdac_ml"] == tumor_mask().sum() * np.prod(SPACING) / 1000
    grid = nifti.read_grid(patient.venous)
    assert grid.direction.tolist() == FLIPPED.tolist()
    for name in ("organs", "tumor", "attention", "segmentation"):
        written = nifti.read_grid(folder / f"{name}.nii.gz")
        assert written.shape == grid.shape
        np.testing.assert_allclose(written.affine_lps, grid.affine_lps, atol=1e-5)
    organs = canonical(nifti.read_label(folder / "organs.nii.gz")).array
    np.testing.assert_array_equal(organs, organ_map())  # under the tumor too
    tumor = canonical(nifti.read_label(folder / "tumor.nii.gz")).array
    np.testing.assert_array_equal(tumor, tumor_mask())
    label = canonical(nifti.read_label(folder / "segmentation.nii.gz")).array
    np.testing.assert_array_equal(label, np.where(tumor_mask(), PDAC, organ_map()))


def test_intermediates_can_be_given_back(patient, tmp_path):
    first = {"organs": patient.organs, "pdac": patient.pdac}
    stage.stage(patient.inputs, out=tmp_path / "first", **first)
    _, before = only(tmp_path / "first")
    back = {"organs": before / "organs.nii.gz", "pdac": before / "tumor.nii.gz"}
    stage.stage(patient.inputs, out=tmp_path / "second", **back)
    _, after = only(tmp_path / "second")
    for name in ("organs", "tumor", "attention", "segmentation"):
        images = [written(folder / f"{name}.nii.gz") for folder in (before, after)]
        np.testing.assert_array_equal(*(image.array for image in images))
        np.testing.assert_array_equal(*(image.affine_lps for image in images))


def test_a_single_map_is_refused_for_several_examinations(patient, tmp_path):
    images = scans()
    for channel, phase in enumerate(("arterial", "venous")):
        patient.write(f"images/q_{channel:04d}", images[phase])
    for name in ("organs", "pdac"):
        path = getattr(patient, name)
        with refused(path, "is one label map, and there are 2 examinations", hint="<case>"):
            stage.stage(patient.inputs, out=tmp_path / "out", **{name: path})
    assert not (tmp_path / "out").exists()


def test_two_sources_of_one_stage_are_refused(patient, networks, tmp_path):
    networks("organs", "pdac")
    for name in ("organs", "pdac"):
        with refused(Path(name), f"is given with --{name}", hint="leave one of them out"):
            stage.stage(patient.inputs, out=tmp_path, **{name: getattr(patient, name)})


def test_a_case_without_a_mask_fails_and_a_mask_of_another_grid_too(patient, tmp_path):
    (tmp_path / "masks").mkdir()
    assert stage.stage(patient.inputs, out=tmp_path / "out", pdac=tmp_path / "masks") == 1
    (row,) = results(tmp_path / "out")["cases"]
    assert "no tumor mask of case p" in row["error"]
    cut = scans()["venous"].with_array(tumor_mask())
    path = patient.write("cut", replace(cut, array=cut.array[1:]))
    assert stage.stage(patient.inputs, out=tmp_path / "out", pdac=path) == 1
    (row,) = results(tmp_path / "out")["cases"]
    assert row["status"] == "failed"


def test_a_repeated_call_does_nothing_again_until_a_map_changes(patient, tmp_path):
    call = {"out": tmp_path / "out", "organs": patient.organs}
    stage.stage(patient.inputs, **call)
    row, folder = only(tmp_path / "out")
    before = (folder / "organs.nii.gz").stat().st_mtime_ns
    stage.stage(patient.inputs, **call)
    assert (folder / "organs.nii.gz").stat().st_mtime_ns == before
    emptier = organ_map()
    emptier[6:9] = 0
    patient.write("organs", scans()["venous"].with_array(emptier))
    stage.stage(patient.inputs, **call)
    again, _ = only(tmp_path / "out")
    assert again["call"] != row["call"]
    organs = canonical(nifti.read_label(folder / "organs.nii.gz")).array
    np.testing.assert_array_equal(organs, emptier)
