"""Phases that lie on each other, and those that do not."""

import re
from dataclasses import replace

import numpy as np

from core.io import nifti
from lnmet import stage
from tests.lnmet.stage.patient import only, results, scans


def test_phases_that_are_not_registered_are_and_the_result_can_be_given_back(
    patient, registering, tmp_path
):
    named = {"arterial": patient.arterial, "venous": patient.venous}
    stage.stage(out=tmp_path / "first", **named)
    row, before = only(tmp_path / "first")
    assert len(registering) == 1
    assert "arterial.nii.gz" in row["files"]
    assert "registered" in row["note"]
    arterial = before / "arterial.nii.gz"
    again = {"arterial": arterial, "venous": patient.venous, "registered": True}
    stage.stage(out=tmp_path / "second", **again)
    row, after = only(tmp_path / "second")
    assert len(registering) == 1
    assert "arterial.nii.gz" not in row["files"]
    assert not (after / "arterial.nii.gz").exists()
    again_read, venous = nifti.read(arterial), nifti.read(patient.venous)
    np.testing.assert_array_equal(again_read.array, venous.array + 1)
    np.testing.assert_allclose(again_read.affine_lps, venous.affine_lps, atol=1e-5)


def test_a_data_set_of_two_channels_is_not_registered_again(patient, registering, tmp_path):
    assert stage.stage(patient.inputs, out=tmp_path / "out") == 0
    assert registering == []


def test_registered_phases_must_lie_on_one_grid(patient, registering, tmp_path):
    short = scans()["arterial"]
    short = replace(short, array=short.array[:-2])
    named = {"arterial": patient.write("short", short), "venous": patient.venous}
    assert stage.stage(out=tmp_path / "out", registered=True, **named) == 1
    (row,) = results(tmp_path / "out")["cases"]
    assert "--registered says that they lie on each other" in row["error"]
    assert registering == []


def test_both_phases_are_on_the_venous_grid_where_networks_see_the_arterial_one(
    patient, registering, networks, tmp_path
):
    opened, _ = networks("pdac")
    (run,) = opened.segmentation
    cfg = replace(run.cfg, data=replace(run.cfg.data, phases=("arterial",)))
    opened.segmentation[0] = replace(run, cfg=cfg)
    short = scans()["arterial"]
    short = replace(short, array=short.array[:-2])
    named = {"arterial": patient.write("short", short), "venous": patient.venous}
    stage.stage(out=tmp_path / "out", **named)
    row, folder = only(tmp_path / "out")
    assert row["input"] == str(patient.venous)
    assert nifti.read_grid(folder / "tumor.nii.gz").shape == nifti.read_grid(patient.venous).shape


def test_registered_phases_say_so_on_the_page_of_a_case(patient, registering, tmp_path):
    scans = [patient.arterial, patient.venous]
    assert stage.stage(scans, organs=patient.organs, out=tmp_path / "out") == 0
    row, folder = only(tmp_path / "out")
    page = (folder / row["page"]).read_text()
    phases = re.findall(r"<h2>([a-z]+ phase.*?)</h2>", page)
    assert phases == ["arterial phase, registered", "venous phase"]
