import pydicom
import pytest
from pydicom.data import get_testdata_file

from core.io.dicom.identity import patient_id


def test_it_is_that_of_the_header():
    path = get_testdata_file("CT_small.dcm")
    assert patient_id(path) == pydicom.dcmread(path).PatientID != ""


@pytest.mark.parametrize("content", [b"", b"not DICOM" * 30])
def test_what_is_no_dicom_has_none(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert patient_id(path) == ""
