"""Cases on a page, whichever paper's: their order and names, their table, and how they are counted.

The rows are those of results.json on the page of a paper's own job, and of metrics.json on the page
of its evaluation.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from core.metrics.rows import Row
from core.report import html
from core.report.table import Badge, Columns, Link, Table, cells_of, without_empty

YES, NO = Badge("yes", "good"), Badge("no", "bad")


class Case(NamedTuple):
    """A case as its page lists it.

    Args:
      index: of its row among all rows.
      row: what is known of it.
      title: its id, and what else tells rows apart.
      has_section: whether a section of that title shows its pictures.
    """

    index: int
    row: Row
    title: str
    has_section: bool


def listed(rows: Sequence[Row], quality: Sequence[float] = ()) -> list[Case]:
    """Cases in the order of their page; the first MAX_PICTURES finished ones have a section.

    Args:
      rows: one per case.
      quality: of each answer; the lowest come first, because failures are what a reader looks for,
        and nan last. Without it the order is that of the rows.
    """
    order = np.argsort(quality, kind="stable").tolist() if quality else range(len(rows))
    finished = [i for i in order if rows[i]["status"] == "done"]
    with_section = set(finished[: html.MAX_PICTURES])
    has_groups = len({row.get("group") for row in rows}) > 1
    return [Case(i, rows[i], _title(rows[i], has_groups), i in with_section) for i in order]


def case_table(heading: str, columns: Columns, cases: Sequence[Case]) -> Table:
    """A line for each case, whose name leads to its section; columns without a value are left out.

    Args:
      heading: of the names.
      columns: what follows them.
      cases: in the order of the lines.
    """
    lines = [
        (
            Link(case.title, case.title) if case.has_section else case.title,
            *cells_of(columns, case.row),
        )
        for case in cases
    ]
    return without_empty((heading, *columns), lines)


def decision(row: Row) -> str:
    """What was decided about a case of results.json, or "failed"."""
    return row.get("decision", "failed")


def decision_tiles(total: str, rows: Sequence[Row], labels: Mapping[str, str]) -> list[html.Tile]:
    """How many cases there are, and how many of each decision.

    Args:
      total: label of the number of all cases.
      rows: of results.json.
      labels: of each decision's number.
    """
    decisions = [decision(row) for row in rows]
    counts = {label: decisions.count(word) for word, label in labels.items()}
    return [html.Tile(label, str(num)) for label, num in {total: len(rows), **counts}.items()]


def files_not_used(skipped: Sequence[Mapping[str, str]]) -> list[html.Section]:
    """The files that were no cases, folded; nothing where there are none."""
    if not skipped:
        return []
    table = Table(("file", "reason"), [(file["path"], file["reason"]) for file in skipped])
    return [html.details(f"{len(skipped)} files not used", [html.table("", table)])]


def _title(row: Row, has_groups: bool) -> str:
    words = [row["id"], row["group"] if has_groups else None]
    words.append(None if row.get("fold") is None else f"fold {row['fold']}")
    return " ".join(word for word in words if word)
