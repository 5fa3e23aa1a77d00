"""Tables in every dialect give the same rows."""

import zipfile
from pathlib import Path

import pytest

from core.datasets.table import column_names, read_rows
from core.errors import InputError

ROWS = [{"patient": "p1", "tumor": "1"}, {"patient": "p2", "tumor": ""}]
NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def excel(path: Path) -> Path:
    """A sheet as Excel saves one: shared and inline texts, and no cell where nothing stands."""
    strings = "".join(f"<si><t>{text}</t></si>" for text in ("Patient", "p1"))
    rows = (
        '<row><c r="A1" t="s"><v>0</v></c>'
        '<c r="B1" t="inlineStr"><is><t>tumor</t></is></c></row>'
        '<row><c r="A2" t="s"><v>1</v></c><c r="B2"><v>1</v></c></row>'
        '<row><c r="A3" t="inlineStr"><is><t>p2</t></is></c><c r="B3"/></row>'
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/sharedStrings.xml", f"<sst {NAMESPACE}>{strings}</sst>")
        sheet = f"<worksheet {NAMESPACE}><sheetData>{rows}</sheetData></worksheet>"
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiter_case_and_byte_order_mark_make_no_difference(tmp_path, delimiter):
    lines = [["Patient ", "TUMOR"], ["p1", " 1"], ["p2", ""]]
    text = "\r\n".join(delimiter.join(line) for line in lines)
    (tmp_path / "t.csv").write_text(text + "\n\n", encoding="utf-8-sig")
    assert read_rows(tmp_path / "t.csv") == ROWS
    assert column_names(tmp_path / "t.csv") == ["patient", "tumor"]


def test_the_first_sheet_of_an_excel_file_is_read(tmp_path):
    assert read_rows(excel(tmp_path / "t.xlsx")) == ROWS


def test_an_empty_cell_that_is_left_out_keeps_its_column(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        cells = '<row><c r="A1"><v>1</v></c><c r="AB1"><v>2</v></c></row>'
        archive.writestr("xl/worksheets/sheet1.xml", f"<worksheet {NAMESPACE}>{cells}</worksheet>")
    names = column_names(tmp_path / "t.xlsx")
    assert (names[0], names[27], len(names), set(names[1:27])) == ("1", "2", 28, {""})


def test_an_empty_table_has_no_rows(tmp_path):
    (tmp_path / "t.csv").touch()
    assert read_rows(tmp_path / "t.csv") == []


def test_a_table_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes("größe".encode("latin-1"))
    with pytest.raises(InputError, match=r"t\.csv: the table is not UTF-8; save it as CSV"):
        read_rows(tmp_path / "t.csv")
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"t\.xlsx: no Excel table .*; save it as CSV"):
        read_rows(tmp_path / "t.xlsx")
