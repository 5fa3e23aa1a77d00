"""Small tables: CSV in any usual dialect and the first sheet of an Excel file in, CSV out."""

import contextlib
import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core import atomic, json_io
from core.errors import InputError


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table by the names of its first line, in lower case.

    Args:
      path: comma, semicolon or tab between the cells, UTF-8; or `.xlsx`.

    Raises:
      InputError: the file cannot be read.
    """
    first, *others = _cells(path) or [[]]
    names = [name.strip().lower() for name in first]
    return [dict(zip(names, (cell.strip() for cell in row), strict=False)) for row in others]


def column_names(path: Path) -> list[str]:
    """Names of the first line of a table, in lower case."""
    return [name.strip().lower() for name in (_cells(path) or [[]])[0]]


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, columns in order of first appearance, undefined cells empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(names)
    table.writerows([json_io.plain(row.get(name)) for name in names] for row in rows)
    atomic.write_text(path, text.getvalue())


def _cells(path: Path) -> list[list[str]]:
    if not path.is_file():
        raise InputError("no such table", path=path)
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
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError:
        hint = "pip install 'panjax[excel]', or save it as CSV"
        raise InputError("reading .xlsx needs openpyxl", path=path, hint=hint) from None
    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"no Excel table ({error})", path=path, hint="save it as CSV") from None
    with contextlib.closing(book):
        sheet = book.worksheets[0]
        rows = [["" if v is None else str(v) for v in row] for row in sheet.values]
    return [row for row in rows if any(row)]
