"""Two scans by themselves: which is the arterial one, and when they are no pair."""

from pathlib import Path

import numpy as np
import pytest

from core.io import nifti
from core.phantom.ct.phantom import make
from core.phantom.dicom.series import write_dicom_study
from core.screening.scan_pair import NOTE, scan_pair
from core.volume import CANONICAL_DIRECTION, Volume


class Patient:
    """The channels of an examination as a data set of nnU-Net names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arterial = self.write("images/p_0000")
        self.venous = self.write("images/p_0001")

    @property
    def inputs(self) -> list[Path]:
        return [self.folder / "images"]

    def write(self, name: str) -> Path:
        hu = np.zeros((4, 6, 8), np.int16)
        hu[:, 0] = -1000  # air in front, without which it would be no CT
        volume = Volume(hu, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), CANONICAL_DIRECTION)
        return nifti.write(self.folder / f"{name}.nii.gz", volume)


@pytest.fixture
def patient(tmp_path) -> Patient:
    return Patient(tmp_path / "p")


def copies(patient: Patient, *names: str) -> list[Path]:
    return [patient.write(f"apart/{name}/{name}") for name in names]


def test_two_scans_are_the_arterial_and_the_venous_one(patient):
    first, second = copies(patient, "early", "late")
    pair = scan_pair([first, second])
    assert pair is not None
    assert {phase: scan.path for phase, scan in pair.scans.items()} == {
        "arterial": first,
        "venous": second,
    }
    assert pair.notes == (NOTE,)
    assert not pair.is_registered


def test_names_of_channels_tell_the_phases_in_any_order(patient):
    for inputs in ([patient.arterial, patient.venous], [patient.venous, patient.arterial]):
        pair = scan_pair(inputs)
        assert pair is not None
        assert pair.scans["venous"].path == patient.venous
        assert pair.notes == ()


@pytest.mark.parametrize("names", [("p_0001", "q_0001"), ("p_0000", "q_0001")])
def test_scans_of_two_cases_are_no_pair(patient, names):
    assert scan_pair(copies(patient, *names)) is None


def test_what_is_not_two_scans_is_no_pair(patient, tmp_path):
    assert scan_pair([*patient.inputs, patient.venous]) is None
    assert scan_pair([tmp_path / "nowhere", patient.venous]) is None
    assert scan_pair([patient.venous]) is None


def test_series_of_two_patients_are_no_pair(tmp_path, monkeypatch):
    phantom = make(0, shape=(8, 12, 16), spacing_mm=(16, 16, 16), tumor_diameter_mm=None)
    studies = [write_dicom_study(tmp_path / name, phantom) for name in "ab"]
    series = [study / "SE002" for study in studies]
    pair = scan_pair([series[0], series[0]])
    assert pair is not None
    assert pair.notes[-1] == NOTE
    by_folder = {series[0]: "one", series[1]: "other"}

    class Key:
        def __init__(self, path: Path) -> None:
            self.patient = by_folder[path.parent]

    monkeypatch.setattr("core.screening.scan_pair.study_key", Key)
    assert scan_pair(series) is None
