"""Folders as they come from hospitals: every file has a bucket, and only axial CT is used."""

import shutil
import zipfile
from collections import Counter

import pytest

from core.phantom.ct.phantom import make
from core.phantom.dicom.series import write_dicom_study
from core.screening.patient import screen
from core.screening.table import summary
from fee.config import ScreenConfig
from fee.screening import rules
from tests.core.io.dicom.make import save, slices
from tests.fee.real_export import write_real_export

SIZE = 32


@pytest.fixture(scope="module")
def phantom():
    return make(0, shape=(10, SIZE, SIZE), spacing_mm=(8, 12, 12), tumor_diameter_mm=None)


@pytest.fixture
def real(tmp_path, shared_data):
    return write_real_export(tmp_path / "patient", shared_data)


def test_of_real_cases_exactly_the_axial_volume_is_used(real):
    screening = screen(real, rules(ScreenConfig()))
    (series,) = screening.series
    assert (series.scan.id, len(series.scan.files), series.phase) == ("ct", 20, "venous")
    on_disk = sorted(p for p in real.rglob("*") if p.is_file() and p.suffix != ".zip")
    shown = sorted(f.path for f in screening.files if ".zip" not in str(f.path))
    assert shown == on_disk
    assert all(f.reason for f in screening.files if f.bucket != "used")
    assert not any(f.reason for f in screening.files if f.bucket == "used")
    told = {f.path.relative_to(real).as_posix(): (f.bucket, f.reason) for f in screening.files}
    assert told["README"] == ("skipped", "not a DICOM file")
    assert told["damaged/IM1.dcm"][0] == "error"
    assert told["report/SE101/IM00001.dcm"][1].startswith("Encapsulated PDF Storage")
    assert told["cases/dcm_qa_ct/In/Philips/DICOMDIR"][1].startswith("an index of other files")
    assert f"used 20 of {len(screening.files)} files: venous 20; skipped: " in summary(screening)


def test_tilt_and_gaps_are_refused_with_their_millimeters(real):
    screening = screen(real, rules(ScreenConfig(size=0, min_slices=3)))
    reasons = {f.path.parent.relative_to(real).as_posix(): f.reason for f in screening.files}
    assert "gantry tilt of 18.5 degrees" in reasons["cases/dcm_qa_ct/In/GE"]
    failing = "cases/dicom2nifti/tests/data/failing"
    assert "gantry tilt of 14.0 degrees" in reasons[f"{failing}/gantrytilting/001"]
    assert "slices are missing between" in reasons[f"{failing}/sliceincrement/001"]


def test_a_messy_study_has_a_reason_for_every_file(tmp_path, phantom):
    folder = tmp_path / "patient"
    write_dicom_study(folder, phantom, localizer=True, coronal=True, dose_page=True, report=True)
    shutil.move(folder / "SE002", folder / "deep" / "er" / "no extension")
    for path in (folder / "deep" / "er" / "no extension").iterdir():
        path.rename(path.with_suffix(""))
    (folder / "DICOMDIR.txt").write_text("index")
    (folder / "Thumbs.db").write_bytes(b"\0" * 200)
    screening = screen(folder, rules(ScreenConfig(size=SIZE)))
    assert [(s.phase, len(s.scan.files)) for s in screening.series] == [
        ("venous", 10),
        ("arterial", 10),
    ]
    reasons = Counter(f.reason for f in screening.files)
    assert reasons[""] == screening.count("used") == 20
    assert reasons["coronal reformat"] == SIZE
    assert reasons["a localizer"] == 1
    assert reasons["not a DICOM file"] == 2
    kinds = {reason.split(" Storage")[0] for reason in reasons if " Storage" in reason}
    assert kinds == {"Secondary Capture Image", "Basic Text SR", "Encapsulated PDF"}
    assert screening.count("used") + screening.count("skipped") == len(screening.files)


def test_a_zipped_study_gives_what_its_folder_gives(tmp_path, phantom):
    folder = write_dicom_study(tmp_path / "study", phantom, localizer=True)
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for path in sorted(folder.rglob("*.dcm")):
            archive.write(path, path.relative_to(folder))
    wanted = rules(ScreenConfig(size=SIZE))
    plain, zipped = (screen(tmp_path / name, wanted) for name in ("study", "study.zip"))
    for series, other in zip(plain.series, zipped.series, strict=True):
        assert (series.phase, len(series.scan.files)) == (other.phase, len(other.scan.files))
    assert zipped.count("used") == plain.count("used") == 20


def test_of_many_reconstructions_of_two_phases_one_each_is_used(tmp_path):
    for phase, time in (("arterial", "100040"), ("venous", "100110")):
        for kernel, thickness in (("B30f", 5), ("B30f", 1), ("B70f", 5)):
            name = f"{phase} {thickness} {kernel}"
            told = {"ConvolutionKernel": kernel, "SliceThickness": thickness}
            told |= {"SeriesDescription": name, "AcquisitionTime": time}
            save(tmp_path / phase / name, slices(series=name, **told))
    screening = screen(tmp_path, rules(ScreenConfig(size=0)))
    assert [s.scan.description for s in screening.series] == ["arterial 5 B30f", "venous 5 B30f"]
    assert (screening.count("used"), screening.count("skipped")) == (20, 40)
