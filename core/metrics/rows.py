"""First a row per case, then one summary over all rows: never an average of averages."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core import atomic

Row = Mapping[str, Any]
"""What is known of one case: plain values by column name; nan, None or absent is undefined."""


def column(rows: Sequence[Row], name: str) -> np.ndarray:
    """One column as float64 (n,), nan where a row has no value.

    Raises:
      ValueError: no row has this column.
    """
    if rows and not any(name in row for row in rows):
        raise ValueError(f"no row has a column {name!r}; columns are {_names(rows)}")
    return np.array([_number(row.get(name)) for row in rows], np.float64)


def summarize(rows: Sequence[Row], names: Sequence[str]) -> dict[str, float | int]:
    """Mean, spread and count of columns, over the rows where they are defined.

    Args:
      rows: one per case.
      names: columns to summarize.

    Returns:
      For every name: `name` (mean), `name_sd` (sample standard deviation, n − 1), `name_num` (rows
      with a value) and `name_num_undefined` (rows without). The mean of no value and the deviation
      of fewer than two are nan.

    Raises:
      ValueError: no row has such a column.
    """
    summary: dict[str, float | int] = {}
    for name in names:
        values = column(rows, name)
        defined = values[~np.isnan(values)]
        summary[name] = float(defined.mean()) if defined.size else float("nan")
        summary[f"{name}_sd"] = float(defined.std(ddof=1)) if defined.size > 1 else float("nan")
        summary[f"{name}_num"] = int(defined.size)
        summary[f"{name}_num_undefined"] = int(values.size - defined.size)
    return summary


def to_json(value: Any) -> str:
    """Strict, indented JSON: nan and infinities become null, numpy values become plain ones."""
    return json.dumps(_plain(value), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def write_json(path: str | Path, value: Any) -> None:
    """Write `to_json(value)`, whole or not at all."""
    atomic.write_text(path, to_json(value))


def write_csv(path: str | Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV, columns in order of first appearance, undefined cells empty."""
    names = _names(rows)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(names)
    table.writerows([_plain(row.get(name)) for name in names] for row in rows)
    atomic.write_text(path, text.getvalue())


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
