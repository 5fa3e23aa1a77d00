"""Small tables of a data set: CSV in any usual dialect, and the first sheet of an Excel file."""

import csv
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from core.errors import InputError

SHEET, STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table by the names of its first line, in lower case.

    Args:
      path: comma, semicolon or tab between the cells, UTF-8; or `.xlsx`.

    Raises:
      InputError: the file cannot be read.
    """
    first, *others = _cells(path) or [[]]
    names = [name.strip().lower() for name in first]
    return [dict(zip(names, (c.strip() for c in row), strict=False)) for row in others]


def column_names(path: Path) -> list[str]:
    """Names of the first line of a table, in lower case."""
    return [name.strip().lower() for name in (_cells(path) or [[]])[0]]


def _cells(path: Path) -> list[list[str]]:
    return _excel(path) if path.suffix.lower() == ".xlsx" else _csv(path)


def _csv(path: Path) -> list[list[str]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError("the table is not UTF-8", path=path, hint="save it as CSV UTF-8") from None
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    return [row for row in csv.reader(lines, delimiter=delimiter) if row]


def _excel(path: Path) -> list[list[str]]:
    """Texts of the cells of the first sheet; a cell without a value is empty."""
    try:
        with zipfile.ZipFile(path) as archive:
            shared = _texts(archive) if STRINGS in archive.namelist() else []
            sheet = ElementTree.fromstring(archive.read(SHEET))
    except (KeyError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise InputError(f"no Excel table ({error})", path=path, hint="save it as CSV") from None
    return [_row(row, shared) for row in sheet.iterfind(".//{*}row")]


def _texts(archive: zipfile.ZipFile) -> list[str]:
    strings = ElementTree.fromstring(archive.read(STRINGS))
    return ["".join(t.text or "" for t in s.iterfind(".//{*}t")) for s in strings.iterfind("{*}si")]


def _row(row: ElementTree.Element, shared: list[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iterfind("{*}c"):
        column = _column(cell.get("r", ""), len(cells))
        cells += [""] * (column - len(cells))  # empty cells are left out of the file
        value = cell.findtext("{*}v", "")
        if cell.get("t") == "s":
            value = shared[int(value)]
        elif cell.get("t") == "inlineStr":
            value = "".join(t.text or "" for t in cell.iterfind(".//{*}t"))
        cells.append(value)
    return cells


def _column(place: str, otherwise: int) -> int:
    """Number of a cell's column, from 0: of "AB12" it is 27."""
    letters = re.match("[A-Z]+", place)
    if letters is None:
        return otherwise
    number = 0
    for letter in letters.group():
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1
