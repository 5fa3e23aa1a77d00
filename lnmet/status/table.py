"""Tables that tell patients' status: by pathology, and as a radiologist read it from CT.

    patient,status,ct_reported
    p01,pN1,0

The first column is `patient` or `case`. `ct_reported` may be left out; an empty cell is not known.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from core.csv_io import column_names, read_rows
from core.errors import InputError
from core.names import normal

logger = logging.getLogger(__name__)

TABLE = "status.csv"
"""Of a data set that brings its own."""
MEANINGS = {
    **dict.fromkeys(("0", "0.0", "negative", "pn0", "n0"), False),
    **dict.fromkeys(("1", "1.0", "positive", "pn1", "n1", "pn2", "n2"), True),
    **dict.fromkeys(("", "pnx", "nx"), None),
}
"""A patient with a metastatic node is positive: pN1 and pN2 (Sec. III-B, Table I)."""
COLUMNS = ("status", "ct_reported")
NUM_NAMED = 5


class StatusTable(NamedTuple):
    """Rows of a table.

    Args:
      path: of the table.
      key: what its rows are about.
      rows: name → "status" and "ct_reported": True is positive, None not known.
    """

    path: Path
    key: Literal["patient", "case"]
    rows: Mapping[str, Mapping[str, bool | None]]

    def facts(self, case: Any) -> Mapping[str, bool | None]:
        """What it tells of a case, which has an `id` and a `patient`."""
        return self.rows.get(case.patient if self.key == "patient" else case.id, {})


def read_status(path: Path) -> StatusTable:
    """Read a table.

    Args:
      path: CSV or .xlsx.

    Raises:
      InputError: a column is missing, a value has no meaning, or two rows of one name differ.
    """
    names = column_names(path)
    key: Literal["patient", "case"] = "patient" if "patient" in names else "case"
    if key not in names or "status" not in names:
        raise InputError(
            f"needs the columns patient or case, and status; has {', '.join(names)}", path=path
        )
    rows: dict[str, dict[str, bool | None]] = {}
    for row in read_rows(path):
        if not (name := normal(row.get(key, ""))):
            continue
        told = {column: _meaning(row, column, name, path) for column in COLUMNS}
        if rows.setdefault(name, told) != told:
            raise InputError(f"two rows about {name!r} differ", path=path, hint="keep one")
    return StatusTable(path, key, rows)


def table_of(root: Path) -> StatusTable | None:
    """The table that a data set brings, if it does."""
    path = root / TABLE
    return read_status(path) if path.is_file() else None


def require_agreement(table: StatusTable, cases: Iterable[Any]) -> None:
    """Warn of rows about nobody, and refuse cases of one patient that differ.

    Args:
      table: that is used.
      cases: of all data sets that it is used for, each with an `id` and a `patient`.

    Raises:
      InputError: two cases of one patient have another status; it is the patient's.
    """
    cases = list(cases)
    names = {case.patient if table.key == "patient" else case.id for case in cases}
    if strangers := sorted(table.rows.keys() - names):
        logger.warning(
            "%s: no case of %s %s is in the data", table.path, table.key, listed(strangers)
        )
    of_patient: dict[str, bool] = {}
    for case in cases:
        status = table.facts(case).get("status")
        if status is not None and of_patient.setdefault(case.patient, status) != status:
            raise InputError(
                f"cases of patient {case.patient!r} differ in their status",
                path=table.path,
                hint="the status is the patient's: give one",
            )


def listed(names: Iterable[str]) -> str:
    """Some names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - NUM_NAMED} more" if len(names) > NUM_NAMED else ""
    return ", ".join(names[:NUM_NAMED]) + more


def _meaning(row: Mapping[str, str], column: str, name: str, path: Path) -> bool | None:
    value = row.get(column, "")
    if value.lower() not in MEANINGS:
        raise InputError(
            f"{column} of {name!r} is {value!r}",
            path=path,
            hint="write 0 or 1, negative or positive, pN0, pN1 or pN2; empty where not known",
        )
    return MEANINGS[value.lower()]
