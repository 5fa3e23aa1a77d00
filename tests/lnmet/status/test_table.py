"""Tables of the status: what their words mean, and what is refused."""

from pathlib import Path
from typing import NamedTuple

import pytest

from lnmet.status.table import TABLE, listed, read_status, require_agreement, table_of
from tests.refusals import refused


class Named(NamedTuple):
    id: str
    patient: str


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        *((word, False) for word in ("0", "0.0", "negative", "Negative", "pN0", "N0")),
        *((word, True) for word in ("1", "1.0", "positive", "pN1", "pN2", "n2")),
        *((word, None) for word in ("", "pNx")),
    ],
)
def test_words_of_a_status(tmp_path, word, meaning):
    table = read_status(write(tmp_path / "t.csv", "patient;status", f"p;{word}"))
    assert table.rows == {"p": {"status": meaning, "ct_reported": None}}


def test_a_table_is_about_patients_or_cases(tmp_path):
    of_patients = read_status(
        write(tmp_path / "a.csv", "patient,status,ct_reported", "p,pN1,0", ",,")
    )
    assert of_patients.facts(Named("c", "p")) == {"status": True, "ct_reported": False}
    assert of_patients.facts(Named("p", "q")) == {}
    of_cases = read_status(write(tmp_path / "b.csv", "case,status", "c,0"))
    assert of_cases.facts(Named("c", "p"))["status"] is False


def test_an_excel_table_is_one_too(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (("patient", "status"), ("p", 1), ("q", None)):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    rows = read_status(tmp_path / "t.xlsx").rows
    assert [told["status"] for told in rows.values()] == [True, None]


def test_a_column_that_is_missing_is_refused(tmp_path):
    for names in ("patient,stage", "name,status"):
        path = write(tmp_path / "t.csv", names, "a,0")
        with refused(path, "status", names.split(",")[0]):
            read_status(path)


def test_a_word_without_a_meaning_is_refused(tmp_path):
    path = write(tmp_path / "t.csv", "patient,status", "p,maybe")
    with refused(path, "status", "p", "maybe", hint="pN0"):
        read_status(path)


def test_rows_that_contradict_each_other_are_refused(tmp_path):
    path = write(tmp_path / "t.csv", "patient,status", "p,0", "q,1", "p,1")
    with refused(path, "'p'", hint="keep one"):
        read_status(path)
    assert read_status(write(path, "patient,status", "p,0", "p,negative")).rows.keys() == {"p"}


def test_cases_of_one_patient_have_one_status(tmp_path):
    path = write(tmp_path / "t.csv", "case,status", "a,0", "b,1", "c,")
    table = read_status(path)
    require_agreement(table, [Named("a", "p"), Named("b", "q"), Named("c", "p")])
    with refused(path, "'p'", hint="patient"):
        require_agreement(table, [Named("a", "p"), Named("b", "p")])


def test_rows_about_nobody_are_named_in_a_warning(tmp_path, caplog):
    table = read_status(write(tmp_path / "t.csv", "patient,status", "p,0", "stranger,1"))
    require_agreement(table, [Named("a", "p")])
    assert "stranger" in caplog.text


def test_a_data_set_may_bring_its_own(tmp_path):
    assert table_of(tmp_path) is None
    write(tmp_path / TABLE, "patient,status", "p,0")
    own = table_of(tmp_path)
    assert own is not None
    assert own.rows["p"]["status"] is False


def test_long_lists_are_cut():
    assert listed("ab") == "a, b"
    assert listed("abcdefg") == "a, b, c, d, e and 2 more"


def test_a_name_whose_accents_a_spreadsheet_took_apart_is_the_same(tmp_path):
    table = read_status(write(tmp_path / "t.csv", "patient,status", "Jose\u0301,1"))
    assert table.facts(Named("c", "Jos\u00e9"))["status"] is True
