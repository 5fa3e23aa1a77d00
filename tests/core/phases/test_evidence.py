import numpy as np
import pytest

from core.errors import InputError
from core.io.dicom.acquisition import Acquisition
from core.io.inventory import find_scans
from core.io.scans import VolumeCache
from core.phases.evidence import (
    SeriesPhase,
    phase_of,
    phase_of_header,
    phases_of_patient,
    read_phases,
)
from tests.core.io.dicom.make import save, slices


@pytest.fixture
def scan(tmp_path):
    """A scan of noise, in which nothing can be found."""
    ((scan,), _) = find_scans(save(tmp_path / "ct", slices(SeriesDescription="")))
    return scan


def told(scan, *, name="SE1", table=None, **header):
    return phase_of(
        scan, Acquisition(**header), name=name, table=table or {}, volumes=VolumeCache()
    )


def test_evidence_is_asked_in_its_order(scan):
    table = {"se1": "native"}
    header = {
        "description": "arterial",
        "protocol": "venous",
        "comments": "delayed",
        "agent": "nativ",
        "delay_s": 60.0,
    }
    assert told(scan, table=table, **header) == SeriesPhase("native", "the user's table")
    expected = {
        "description": SeriesPhase("arterial", "series description"),
        "protocol": SeriesPhase("venous", "protocol name"),
        "comments": SeriesPhase("delayed", "image comments"),
        "agent": SeriesPhase("native", "contrast agent"),
        "delay_s": SeriesPhase("venous", "60 s after injection"),
    }
    for left_out, phase in expected.items():
        assert told(scan, **header) == phase
        del header[left_out]
    assert told(scan) == SeriesPhase("unknown", "image: no liver and spine found")


def test_the_name_of_a_file_or_folder_counts_and_folders_above_do_not(scan):
    assert told(scan, name="a/SE2_venous").phase == "venous"
    assert told(scan, name="venous/ct.nii.gz").phase == "unknown"
    assert told(scan, name="SE2_venous", description="arterial").phase == "arterial"


def test_a_header_alone_may_tell_nothing():
    assert phase_of_header(Acquisition(description="AP", delay_s=50.0), name="SE1") is None
    told = phase_of_header(Acquisition(delay_s=70.0), name="SE1")
    assert told == SeriesPhase("venous", "70 s after injection")


def test_two_phases_in_one_text_leave_the_question_to_the_next(scan):
    assert told(scan, description="art + ven", delay_s=35.0).phase == "arterial"
    assert told(scan, description="AP", delay_s=180.0).phase == "delayed"
    assert told(scan, description="AP", delay_s=50.0).phase == "unknown"


def test_a_scan_that_cannot_be_read_is_of_unknown_phase(tmp_path):
    folder = save(tmp_path / "ct", slices(SeriesDescription=""))
    ((scan,), _) = find_scans(folder)
    scan.files[3].write_bytes(scan.files[3].read_bytes()[:-20])
    phase = told(scan)
    assert phase.phase == "unknown"
    assert "the image cannot be read: its pixels cannot be decoded" in phase.evidence


def test_a_table_names_paths_or_descriptions(tmp_path, scan):
    path = tmp_path / "phases.csv"
    path.write_text("\ufeffSeries,note,Phase\nA\\B/,x,Venous\n Abdomen  B30f,,unknown\n", "utf-8")
    assert read_phases(path) == {"": {"a/b": "venous", "abdomen b30f": "unknown"}}
    table = phases_of_patient(read_phases(path), "anybody")
    assert told(scan, name="a/b", description="abdomen b30f", table=table).phase == "venous"
    phase = told(scan, name="c", description="ABDOMEN B30f", table=table, protocol="venous")
    assert phase == SeriesPhase("unknown", "the user's table")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,phase\na,venous\n", "no column series; write series,phase on top"),
        ("series\na\n", "no column phase"),
        ("", "no column series"),
        ("series,phase\na,portal\n", "line 2: phase 'portal' is none of arterial, venous, del"),
        ("series,phase\na\n", "line 2: phase '' is none of"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path, text, message):
    path = tmp_path / "phases.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_phases(path)


def test_a_row_about_one_patient_comes_before_one_about_all(tmp_path):
    path = tmp_path / "phases.csv"
    path.write_text("patient,series,phase\n,SE1,venous\nMiller,SE1,arterial\nmiller,SE2,native\n")
    table = read_phases(path)
    assert phases_of_patient(table, "MILLER") == {"se1": "arterial", "se2": "native"}
    assert phases_of_patient(table, "other") == {"se1": "venous"}


def test_two_phases_of_one_series_are_refused(tmp_path):
    path = tmp_path / "phases.csv"
    path.write_text("series,phase\nSE1,venous\nse1,venous\n")
    assert read_phases(path) == {"": {"se1": "venous"}}
    path.write_text("series,phase\nSE1,venous\nse1,arterial\n")
    with pytest.raises(InputError, match=r"line 3.*se1"):
        read_phases(path)


def test_a_table_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(InputError, match="no such table"):
        read_phases(tmp_path / "absent.csv")
    (tmp_path / "x.csv").write_bytes(np.int32(2**31 - 1).tobytes() * 9)
    with pytest.raises(InputError, match="UTF-8"):
        read_phases(tmp_path / "x.csv")


def test_a_name_whose_accents_a_spreadsheet_took_apart_is_the_same(tmp_path):
    path = tmp_path / "phases.csv"
    path.write_text("patient,series,phase\nJose\u0301,Phase arte\u0301rielle,arterial\n", "utf-8")
    table = phases_of_patient(read_phases(path), "Jos\u00e9")
    assert table == {"phase art\u00e9rielle": "arterial"}
