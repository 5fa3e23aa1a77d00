"""First a row per case, then one summary over all rows: never an average of averages."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Row = Mapping[str, Any]
"""Results of one case: plain values by column name; nan, None or absent is undefined."""


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


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
