"""Tables in every dialect give the same rows."""

import csv
import os
import sys
import zipfile
from pathlib import Path

import openpyxl
import pytest

from core.csv_io import column_names, read_rows, write_csv
from tests.refusals import refused

ROWS = [{"patient": "p1", "tumor": "1"}, {"patient": "p2", "tumor": ""}]


def excel(path: Path, *rows: list) -> Path:
    """A workbook whose first sheet has these rows."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.create_sheet("other").append(["not", "read"])
    book.save(path)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiter_case_and_byte_order_mark_make_no_difference(tmp_path, delimiter):
    lines = [["Patient ", "TUMOR"], ["p1", " 1"], ["p2", ""]]
    text = "\r\n".join(delimiter.join(line) for line in lines)
    (tmp_path / "t.csv").write_text(text + "\n\n", encoding="utf-8-sig")
    assert read_rows(tmp_path / "t.csv") == ROWS
    assert column_names(tmp_path / "t.csv") == ["patient", "tumor"]


def test_the_first_sheet_of_an_excel_file_is_read(tmp_path):
    rows = (["Patient", "tumor"], ["p1", 1], [None, None], ["p2", None])
    assert read_rows(excel(tmp_path / "t.xlsx", *rows)) == ROWS


def test_an_empty_cell_keeps_its_column(tmp_path):
    names = column_names(excel(tmp_path / "t.xlsx", ["a", *[None] * 26, "b"]))
    assert (names[0], names[27], len(names), set(names[1:27])) == ("a", "b", 28, {""})


def test_a_missing_library_for_excel_says_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with refused(tmp_path / "t.xlsx", "openpyxl", hint="pip install 'panjax[excel]'"):
        read_rows(tmp_path / "t.xlsx")


def test_a_table_that_is_not_there_is_refused(tmp_path):
    for name in ("t.csv", "t.xlsx"):
        with refused(tmp_path / name, "no such table"):
            read_rows(tmp_path / name)


def test_a_damaged_sheet_is_refused(tmp_path):
    with zipfile.ZipFile(excel(tmp_path / "whole.xlsx", ["case"], ["a"])) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(tmp_path / "cut.xlsx", "w") as cut:
        for name, content in members.items():
            cut.writestr(name, content[:60] if "sheet1" in name else content)
    with refused(tmp_path / "cut.xlsx", "no Excel table", hint="CSV"):
        read_rows(tmp_path / "cut.xlsx")


def test_an_empty_table_has_no_rows(tmp_path):
    (tmp_path / "t.csv").touch()
    assert read_rows(tmp_path / "t.csv") == []


def test_a_table_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes("größe".encode("latin-1"))
    with refused(tmp_path / "t.csv", "UTF-8", hint="CSV"):
        read_rows(tmp_path / "t.csv")
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with refused(tmp_path / "t.xlsx", "no Excel table", hint="CSV"):
        read_rows(tmp_path / "t.xlsx")


CASES = [
    {"case": "a", "tumor_dsc": 0.5, "fold": 0},
    {"case": "b", "tumor_dsc": float("nan"), "fold": 0},
    {"case": "c", "tumor_dsc": 0.9, "fold": 1},
    {"case": "d", "error": "no such file"},
]


def test_cells_with_line_ends_read_back(tmp_path):
    rows = [{"case": 'two\nlines, "quoted"', "note": "a\u2028b"}, {"case": "c", "note": "d"}]
    write_csv(tmp_path / "rows.csv", rows)
    assert read_rows(tmp_path / "rows.csv") == rows


def test_csv_has_all_columns_in_order_and_leaves_undefined_cells_empty(tmp_path):
    write_csv(tmp_path / "rows.csv", [*CASES, {"case": 'comma, "quote"\n'}])
    with (tmp_path / "rows.csv").open(newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["case", "tumor_dsc", "fold", "error"]
    assert lines[2] == ["b", "", "0", ""]
    assert lines[4] == ["d", "", "", "no such file"]
    assert lines[5] == ['comma, "quote"\n', "", "", ""]


def test_file_names_that_are_no_utf8_are_written_escaped(tmp_path):
    write_csv(tmp_path / "t.csv", [{"path": os.fsdecode(b"\xb1,\n.dcm")}])
    assert read_rows(tmp_path / "t.csv") == [{"path": "\\udcb1,\n.dcm"}]
