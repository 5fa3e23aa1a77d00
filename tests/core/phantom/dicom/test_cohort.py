import csv
import hashlib
import zipfile

import numpy as np
import pydicom
import pytest

from core.errors import InputError
from core.io.inventory import find_scans
from core.io.nifti import read_label
from core.io.scans import read_scan
from core.phantom.dicom.cohort import TYPES, write_dicom_cohort
from core.volume import canonical, same_grid

SMALL = {"shape": (10, 24, 28), "spacing_mm": (12.0, 11.0, 10.0)}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    out = tmp_path_factory.mktemp("cohort") / "set"
    return write_dicom_cohort(out, num_patients=4, seed=0, diameters_mm=(30, 40), **SMALL)


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table(folder):
    with (folder / "patients.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_names_every_patient_and_types_only_tumors(cohort):
    rows = table(cohort)
    assert [row["patient"] for row in rows] == [f"phantom_{n:03d}" for n in range(4)]
    assert sum(int(row["tumor"]) for row in rows) == 2
    for row in rows:
        assert (row["tumor_type"] in TYPES) == (row["tumor"] == "1")


def test_masks_lie_on_the_canonical_grid_of_their_series(cohort):
    scans, _ = find_scans(cohort / "patients" / "phantom_000")
    axial = [scan for scan in scans if scan.description in ("Arterial Phase", "Venous Phase")]
    assert len(axial) == 2
    for scan in axial:
        phase = scan.description.split()[0].lower()
        mask = read_label(cohort / "masks" / "phantom_000" / f"{phase}.nii.gz")
        assert same_grid(canonical(read_scan(scan)), canonical(mask))


def test_only_patients_with_a_tumor_have_one_in_the_mask(cohort):
    for row in table(cohort):
        for phase in ("arterial", "venous"):
            ids = np.unique(read_label(cohort / "masks" / row["patient"] / f"{phase}.nii.gz").array)
            assert set(ids) == ({0, 1, 2} if row["tumor"] == "1" else {0, 1})


def test_the_mess_has_foreign_files_languages_missing_endings_and_a_zip(cohort):
    patients = cohort / "patients"
    first, chinese, bare = (patients / f"phantom_{n:03d}" for n in (0, 2, 3))
    assert {"DICOMDIR", "README.TXT", "VERSION"} <= {path.name for path in first.iterdir()}
    descriptions = {
        pydicom.dcmread(path, stop_before_pixels=True).SeriesDescription
        for path in chinese.rglob("*.dcm")
    }
    assert {"上腹部 动脉期", "上腹部 静脉期", "Scout", "Dose Report"} <= descriptions
    assert not list(bare.rglob("*.dcm"))
    assert pydicom.dcmread(bare / "SE002" / "IM00001").SeriesDescription == "Arterial Phase"
    with zipfile.ZipFile(patients / "phantom_001.zip") as archive:
        ds = pydicom.dcmread(archive.open("SE003/IM00001.dcm"))
    assert ds.SeriesDescription == "Abdomen portalvenös 5.0 B30f"
    assert pydicom.dcmread(first / "DICOMDIR").FileSetID == "PHANTOM"


def test_a_tidy_cohort_holds_axial_series_only(tmp_path):
    out = write_dicom_cohort(
        tmp_path / "set", num_patients=2, seed=0, messy=False, phases=("venous",), **SMALL
    )
    files = [path for path in (out / "patients").rglob("*") if path.is_file()]
    assert len(files) == 2 * SMALL["shape"][0]
    assert {pydicom.dcmread(path).SeriesDescription for path in files} == {"Venous Phase"}


def test_equal_calls_write_equal_bytes_whatever_the_number_of_processes(tmp_path):
    small = {"num_patients": 2, "shape": (3, 8, 8), "spacing_mm": (40.0, 40.0, 40.0)}
    first, equal = (
        digests(write_dicom_cohort(tmp_path / str(n), seed=5, num_processes=n, **small))
        for n in (1, 2)
    )
    other = digests(write_dicom_cohort(tmp_path / "c", seed=6, **small))
    assert first == equal
    assert first != other


def test_a_folder_with_content_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="already holds something"):
        write_dicom_cohort(tmp_path, num_patients=1, seed=0, **SMALL)


def test_an_unknown_phase_is_refused(tmp_path):
    with pytest.raises(ValueError, match="phase must be one of"):
        write_dicom_cohort(tmp_path / "a", num_patients=1, seed=0, phases=("native",), **SMALL)
