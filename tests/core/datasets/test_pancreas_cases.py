"""Annotated CT of the pancreas from any layout: which labels there are, and what is refused."""

import json

import nibabel as nib
import numpy as np
import pytest

from core.datasets.pancreas import DUCT, PANCREAS, TUMOR
from core.datasets.pancreas_cases import read_pancreas, require_annotated
from core.errors import InputError
from core.io import remarks
from tests.refusals import refused

SHAPE = (6, 5, 4)


def write(root, names, *, case="100000_00001", name="Set"):
    """An nnU-Net folder of one case; voxel (0, 0, 0) has the id of each label name in turn."""
    for folder, ending, array in (
        ("imagesTr", "_0000", np.zeros(SHAPE, np.int16)),
        ("labelsTr", "", np.arange(np.prod(SHAPE)).reshape(SHAPE) % (len(names) + 1)),
    ):
        (root / folder).mkdir(parents=True)
        image = nib.Nifti1Image(array.astype(np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]))
        nib.save(image, root / folder / f"{case}{ending}.nii.gz")
    labels = {"background": 0} | {label: i for i, label in enumerate(names, start=1)}
    description = {"name": name, "channel_names": {"0": "CT"}, "labels": labels}
    description |= {"numTraining": 1, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(description))
    return root


def test_labels_are_mapped_by_name_onto_the_grid_of_the_image(tmp_path):
    data = read_pancreas(write(tmp_path / "d", ["lesion", "veins", "pancreas"]))
    (case,) = data.cases
    image, label = case.read()
    assert label.shape == image.shape
    expected = np.array([0, TUMOR, 0, PANCREAS])[np.arange(np.prod(SHAPE)) % 4].reshape(SHAPE)
    np.testing.assert_array_equal(label.array, expected.transpose(2, 1, 0))
    np.testing.assert_array_equal(case.read_label().array, label.array)
    assert set(data.annotated) == {PANCREAS, TUMOR}


def test_patients_and_diagnoses_of_panorama(tmp_path):
    root = write(tmp_path / "d", ["pancreas", "pdac lesion"])
    header = "PANORAMA_patient_id,PANORAMA_study_id,label"
    (root / "clinical_information.csv").write_text(f"{header}\n100000,1,PDAC\n")
    (case,) = read_pancreas(root).cases
    assert (case.patient, case.tumor, case.phase) == ("100000", True, "venous")


@pytest.mark.parametrize(("name", "phase"), [("Pancreas", "venous"), ("Set", "unknown")])
def test_the_phase_is_known_of_public_sets_only(tmp_path, name, phase):
    (case,) = read_pancreas(write(tmp_path / "d", ["pancreas"], case="a", name=name)).cases
    assert (case.phase, case.tumor) == (phase, None)


def test_labels_are_required_of_all_data_sets_together(tmp_path):
    pancreas = read_pancreas(write(tmp_path / "a", ["pancreas"]))
    both = read_pancreas(write(tmp_path / "b", ["pancreas", "tumor"]))
    require_annotated([pancreas, both], [PANCREAS, TUMOR])
    with pytest.raises(InputError, match=r"no label for tumor: .*a has pancreas") as refusal:
        require_annotated([pancreas], [PANCREAS, TUMOR])
    assert refusal.value.path == tmp_path / "a"


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        read_pancreas(tmp_path / "absent")
    with pytest.raises(InputError, match="is no annotated data set"):
        read_pancreas(tmp_path)


@pytest.mark.parametrize("is_drawn", [True, False])
@pytest.mark.parametrize("diagnosis", ["PDAC", "non-PDAC"])
@pytest.mark.parametrize("names", [["pancreas", "pdac lesion"], ["pancreas"]])
def test_a_table_that_contradicts_the_label_is_remarked(tmp_path, diagnosis, is_drawn, names):
    root = write(tmp_path / "d", names)
    header = "PANORAMA_patient_id,PANORAMA_study_id,label"
    (root / "clinical_information.csv").write_text(f"{header}\n100000,1,{diagnosis}\n")
    (case,) = read_pancreas(root).cases
    if not is_drawn:
        label = np.ones(SHAPE, np.int16)
        nib.save(nib.Nifti1Image(label, np.diag([-1.0, -1.0, 1.0, 1.0])), case.files[1])
    with remarks.kept() as lines:
        case.read()
    contradicts = (diagnosis == "PDAC") != is_drawn and "pdac lesion" in names
    told = [line for line in lines if line.startswith(f"{case.files[1]}: the table tells of")]
    assert len(told) == contradicts


def test_folders_of_nih_are_patients_and_another_word_on_it_is_not_used(tmp_path, caplog):
    (tmp_path / "PANCREAS_0001").mkdir()
    read_pancreas(tmp_path)
    assert "not used" not in caplog.text
    read_pancreas(tmp_path, patient_pattern="(.*)")
    assert f"{tmp_path}: --patient-pattern is not used" in caplog.text


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd"])
def test_a_data_set_may_hold_what_simpleitk_writes(tmp_path, ending):
    """nnU-Net takes these endings as well."""
    sitk = pytest.importorskip("SimpleITK")
    root = write(tmp_path / "d", ["lesion", "pancreas"], case="a")
    expected = read_pancreas(root).cases[0].read()
    for path in sorted(root.glob("*/*.nii.gz")):
        image = sitk.ReadImage(str(path))
        sitk.WriteImage(image, str(path).replace(".nii.gz", ending))
        path.unlink()
    description = json.loads((root / "dataset.json").read_text()) | {"file_ending": ending}
    (root / "dataset.json").write_text(json.dumps(description))
    data = read_pancreas(root)
    (case,) = data.cases
    assert (case.id, data.skipped) == ("a", ())
    for ours, true in zip(case.read(), expected, strict=True):
        np.testing.assert_array_equal(ours.array, true.array)
        np.testing.assert_allclose(ours.affine_lps, true.affine_lps)
    names = {path.name for path in case.files}
    if ending == ".mhd":
        assert {"a_0000.raw", "a.raw"} <= names


def test_the_channel_of_the_phase_that_is_asked_for_is_read(tmp_path):
    root = write(tmp_path / "d", ["pancreas", "duct"], case="a")
    venous = nib.Nifti1Image(np.full(SHAPE, 7, np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]))
    nib.save(venous, root / "imagesTr" / "a_0001.nii.gz")
    description = json.loads((root / "dataset.json").read_text())
    description["channel_names"] = {"0": "arterial", "1": "venous"}
    (root / "dataset.json").write_text(json.dumps(description))
    for phase, value in (("arterial", 0), ("venous", 7)):
        data = read_pancreas(root, phase=phase, duct=True)
        (case,) = data.cases
        image, label = case.read()
        assert np.unique(image.array).tolist() == [value]
        assert np.unique(label.array).tolist() == [0, PANCREAS, DUCT]
        assert (case.phase, set(data.annotated)) == (phase, {PANCREAS, DUCT})


def test_public_scans_are_of_one_phase(tmp_path):
    root = write(tmp_path / "d", ["pancreas"], name="Pancreas")
    assert read_pancreas(root, phase="venous").cases
    with refused(root, "venous scans", "arterial ones are needed"):
        read_pancreas(root, phase="arterial")
