"""Small tables: CSV in any usual dialect and the first sheet of an Excel file in, CSV out."""

import contextlib
import csv
import io
import warnings
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
        # Line ends stay as they are: a quoted cell may hold some.
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("the table is not UTF-8", path=path, hint="save it as CSV UTF-8") from None
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]


def _excel(path: Path) -> list[list[str]]:
    """Texts of the cells of the first sheet; a cell without a value is empty."""
    try:
        from openpyxl import load_workbook
    except ImportError:
        hint = "pip install 'panjax[excel]', or save it as CSV"
        raise InputError("reading .xlsx needs openpyxl", path=path, hint=hint) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that are not read
            book = load_workbook(path, read_only=True, data_only=True)
            with contextlib.closing(book):
                cells = list(book.worksheets[0].values)
    except Exception as error:  # a sheet is parsed as it is read, and its parser's errors are many
        raise InputError(
            f"no Excel table ({type(error).__name__})", path=path, hint="save it as CSV"
        ) from error
    rows = [["" if value is None else str(value) for value in row] for row in cells]
    return [row for row in rows if any(row)]
