"""Cases on a page, whichever paper's: their order and names, their table, and how they are counted.

The rows are those of results.json on the page of a paper's own job, and of metrics.json on the page
of its evaluation.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from core.metrics.rows import Row
from core.report import html
from core.report.table import Badge, Columns, Link, Table, cells_of, without_empty

RIGHT = {True: Badge("yes", "good"), False: Badge("no", "bad")}


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


def results_page(
    results: Mapping[str, Any],
    *,
    system: str,
    job: str,
    case: str,
    labels: Mapping[str, str],
    columns: Columns,
    section: Callable[[Row], html.Section],
    subtitle: str,
    note: str = "",
    tiles: Sequence[html.Tile] = (),
) -> str:
    """The page of a paper's own job: how often what was decided, every case, and pictures.

    Args:
      results: content of results.json.
      system: name of the paper's system.
      job: what it did, "screening".
      case: what a case is, "scan".
      labels: of the number of each decision.
      columns: of the table, between the case and its seconds and error.
      section: row of a finished case → its pictures.
      subtitle: one line under the title.
      note: under the table.
      tiles: more headline numbers.
    """
    rows, cases = results["cases"], listed(results["cases"])
    decisions = [decision(row) for row in rows]
    counts = {f"{case}s": len(rows)}
    counts |= {label: decisions.count(word) for word, label in labels.items()}
    numbers = [html.Tile(label, str(count)) for label, count in counts.items()]
    table = case_table(case, {**columns, "s": "seconds", "error": "error"}, cases)
    return html.page(
        f"{system} {job}",
        [
            html.tiles(job.capitalize(), [*numbers, *tiles]),
            html.table(f"{case}s".capitalize(), table, note=note),
            *_files_not_used(results["skipped"]),
            *(section(case.row) for case in cases if case.has_section),
            html.provenance(results["manifest"]),
        ],
        subtitle=f"{subtitle} For research only.",
    )


def _files_not_used(skipped: Sequence[Mapping[str, str]]) -> list[html.Section]:
    if not skipped:
        return []
    table = Table(("file", "reason"), [(file["path"], file["reason"]) for file in skipped])
    return [html.details(f"{len(skipped)} files not used", [html.table("", table)])]


def _title(row: Row, has_groups: bool) -> str:
    words = [row["id"], row["group"] if has_groups else None]
    words.append(None if row.get("fold") is None else f"fold {row['fold']}")
    return " ".join(word for word in words if word)
