import hashlib
from collections import defaultdict

import numpy as np
import pydicom
import pytest

from core.errors import InputError
from core.io.inventory import find_scans
from core.io.scans import read_scan
from core.phantom.ct.phantom import make
from core.phantom.dicom.series import DELAY_S, write_dicom_study
from core.volume import canonical

ALL = {"localizer": True, "coronal": True, "dose_page": True, "report": True}


@pytest.fixture(scope="module")
def phantom():
    return make(2, shape=(10, 24, 28), spacing_mm=(12.0, 11.0, 10.0), tumor_diameter_mm=30.0)


@pytest.fixture(scope="module")
def study(phantom, tmp_path_factory):
    return write_dicom_study(tmp_path_factory.mktemp("dicom") / "study", phantom, **ALL)


@pytest.fixture(scope="module")
def series(study):
    by_description = defaultdict(list)
    for path in sorted(study.rglob("*.dcm")):
        ds = pydicom.dcmread(path)
        by_description[ds.SeriesDescription].append(ds)
    return by_description


def seconds(time: str) -> int:
    return int(time[:2]) * 3600 + int(time[2:4]) * 60 + int(time[4:6])


@pytest.mark.parametrize("phase", ["arterial", "venous"])
def test_an_axial_series_holds_the_phantom(series, phantom, phase):
    slices = series[f"{phase.capitalize()} Phase"]
    volume = phantom.images[phase]
    assert len(slices) == volume.shape[0]
    for ds in slices:
        row, column = np.reshape(ds.ImageOrientationPatient, (2, 3)).astype(float)
        origin = np.array(ds.ImagePositionPatient, float)
        index = np.linalg.solve(volume.affine_lps, (*origin, 1))[:3]
        np.testing.assert_allclose(index[1:], 0, atol=1e-3)
        hu = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        np.testing.assert_array_equal(hu, volume.array[round(index[0])])
        # The far corner, through the tags alone, is where the volume says it is.
        dy, dx = (float(s) for s in ds.PixelSpacing)
        corner = origin + row * dx * (ds.Columns - 1) + column * dy * (ds.Rows - 1)
        expected = volume.affine_lps @ (round(index[0]), ds.Rows - 1, ds.Columns - 1, 1)
        np.testing.assert_allclose(corner, expected[:3], atol=1e-3)
        assert seconds(ds.AcquisitionTime) - seconds(ds.ContrastBolusStartTime) == DELAY_S[phase]


def test_the_reader_finds_both_phases_and_reads_them_back(study, phantom):
    scans, _ = find_scans(study)
    by_name = {scan.description: scan for scan in scans}
    for phase, image in phantom.images.items():
        (scan,) = [s for name, s in by_name.items() if f"{phase.capitalize()} Phase" in name]
        volume = canonical(read_scan(scan))
        np.testing.assert_array_equal(volume.array, image.array)
        np.testing.assert_allclose(volume.affine_lps, image.affine_lps, atol=1e-3)


def test_slices_run_from_the_head_down(series):
    heights = [
        ds.ImagePositionPatient[2]
        for ds in sorted(series["Venous Phase"], key=lambda ds: ds.InstanceNumber)
    ]
    assert heights == sorted(heights, reverse=True)


def test_the_localizer_is_a_frontal_projection(series, phantom):
    (ds,) = series["Scout"]
    assert list(ds.ImageType) == ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    assert (ds.Rows, ds.Columns) == (phantom.label.shape[0], phantom.label.shape[2])


def test_the_coronal_reformat_shows_the_same_voxels(series, phantom):
    slices = series["Coronal Venous"]
    volume = phantom.images["venous"]
    for ds in slices:
        assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "REFORMATTED"]
        row, column = np.reshape(ds.ImageOrientationPatient, (2, 3)).astype(float)
        np.testing.assert_array_equal(np.cross(row, column), [0, 1, 0])
        index = np.linalg.solve(volume.affine_lps, (*np.array(ds.ImagePositionPatient, float), 1))
        shown = volume.array[::-1, round(index[1])]
        np.testing.assert_array_equal(ds.pixel_array - 1024.0, shown)


def test_the_dose_page_says_ct_but_is_a_colour_picture(series):
    (ds,) = series["Dose Report"]
    assert ds.Modality == "CT"
    assert ds.SOPClassUID.name == "Secondary Capture Image Storage"
    assert ds.pixel_array.shape == (512, 512, 3)
    assert ds.pixel_array.max() > 200  # white letters, antialiased
    assert "ImagePositionPatient" not in ds


def test_the_report_speaks_of_the_tumor(series, phantom):
    (sr,), (pdf,) = series["Report"], series["Report PDF"]
    text = " ".join(item.TextValue for item in sr.ContentSequence)
    assert phantom.tumor_location in text
    assert "30 mm" in text
    assert bytes(pdf.EncapsulatedDocument).startswith(b"%PDF")


def test_a_healthy_report_denies_a_mass(tmp_path):
    healthy = make(2, shape=(2, 4, 4), spacing_mm=(12.0, 50.0, 50.0), tumor_diameter_mm=None)
    out = write_dicom_study(tmp_path / "study", healthy, report=True, phases=("venous",))
    sr = pydicom.dcmread(out / "SE100" / "IM00001.dcm")
    assert "No pancreatic mass." in [item.TextValue for item in sr.ContentSequence]


def test_one_study_one_frame_and_no_identifier_twice(series):
    objects = [ds for group in series.values() for ds in group]
    assert len({ds.StudyInstanceUID for ds in objects}) == 1
    assert len({ds.SeriesInstanceUID for ds in objects}) == len(series)
    assert len({ds.SOPInstanceUID for ds in objects}) == len(objects)
    assert len({ds.FrameOfReferenceUID for ds in objects if "FrameOfReferenceUID" in ds}) == 1
    assert all(str(ds.PatientName).startswith("PHANTOM") for ds in objects)


def test_equal_phantoms_write_equal_bytes(study, phantom, tmp_path):
    again = write_dicom_study(tmp_path / "again", phantom, **ALL)
    first, second = (
        {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in root.rglob("*.dcm")
        }
        for root in (study, again)
    )
    assert first == second


def test_a_folder_with_content_is_left_alone(phantom, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="already holds something"):
        write_dicom_study(tmp_path, phantom)


def test_an_unknown_phase_is_refused(phantom, tmp_path):
    with pytest.raises(ValueError, match="phase must be one of"):
        write_dicom_study(tmp_path / "study", phantom, phases=("native",))
