import pydicom
import pytest
from pydicom.data import get_testdata_file

from core.io.dicom.identity import StudyKey, frame_of_reference, patient_id, study_key
from tests.core.io.dicom.make import save, slices


def test_it_is_that_of_the_header():
    path = get_testdata_file("CT_small.dcm")
    assert patient_id(path) == pydicom.dcmread(path).PatientID != ""


@pytest.mark.parametrize("content", [b"", b"not DICOM" * 30])
def test_what_is_no_dicom_has_none(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert patient_id(path) == ""
    assert study_key(path) == StudyKey()


def test_the_key_of_a_study_is_compared_and_hides_the_values(tmp_path):
    def key(name: str, **header: str) -> StudyKey:
        return study_key(next(save(tmp_path / name, slices(**header)).iterdir()))

    header = {"PatientID": "SECRET7", "StudyInstanceUID": "1.2.3", "StudyDate": "20200101"}
    first = key("a", **header)
    assert key("b", **header) == first
    assert key("c", **header | {"PatientID": "x"}).patient != first.patient
    assert key("d", **header | {"StudyInstanceUID": "1.2.4"}).study != first.study
    assert first.date == "20200101"
    assert "SECRET7" not in str(first)
    assert "1.2.3" not in str(first)
    bare = key("e", PatientID="", StudyInstanceUID="", StudyDate="")
    assert bare == StudyKey()


def test_frames_of_reference_are_compared_and_hidden(tmp_path):
    def frame(name: str, uid: str) -> str:
        headers = slices(FrameOfReferenceUID=uid)
        return frame_of_reference(next(save(tmp_path / name, headers).iterdir()))

    assert frame("a", "1.2.3") == frame("b", "1.2.3") != frame("c", "1.2.4")
    assert "1.2.3" not in frame("d", "1.2.3")
    assert frame("e", "") == ""
