"""Cases on a page: their order, names and table, and the whole page of a paper's own job.

Rows are those of results.json on that page, and of metrics.json on the page of an evaluation.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from core.metrics.rows import Row
from core.report import html
from core.report.table import Badge, Cell, Columns, FileLink, Link, Table, table_of, without_empty

CASE_PAGE = "report.html"
"""Page of a case in its folder; a row that has one tells so as its "page"."""
RIGHT = {True: Badge("yes", "good"), False: Badge("no", "bad")}


def listed(rows: Sequence[Row], quality: Sequence[float] = ()) -> list[dict[str, Any]]:
    """Rows in the order of their page; the first MAX_PICTURES finished ones have a section.

    Args:
      rows: one per case.
      quality: of each answer; the lowest come first, because failures are what a reader looks for,
        and nan last. Without it the order is that of the rows.

    Returns:
      The rows with "index" among all, "title" of the section (the id, and what else tells rows
      apart) and "has_section".
    """
    order = np.argsort(quality, kind="stable").tolist() if quality else range(len(rows))
    finished = [i for i in order if rows[i]["status"] == "done"]
    with_section = set(finished[: html.MAX_PICTURES])
    has_groups = len({row.get("group") for row in rows}) > 1
    titles = {i: _title(rows[i], has_groups) for i in order}
    return [
        {**rows[i], "index": i, "title": titles[i], "has_section": i in with_section} for i in order
    ]


def case_table(heading: str, columns: Columns, cases: Sequence[Row]) -> Table:
    """A line for each case of `listed`: its name, which leads to its section, and some columns.

    Columns without any value are left out.
    """
    return without_empty(table_of({heading: _name, **columns}, cases))


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

    A case that has a page of its own is linked to it.

    Args:
      results: content of results.json.
      system: name of the paper's system.
      job: what it did, "screening".
      case: what it did that to, "scan".
      labels: of the number of cases of each "decision"; a case without one has "failed".
      columns: of the table, between the case and its seconds.
      section: row of a finished case → its pictures.
      subtitle: one line under the title.
      note: under the table.
      tiles: more headline numbers.
    """
    cases = listed([{"decision": "failed", **row} for row in results["cases"]])
    decisions = [row["decision"] for row in cases]
    counts = {f"{case}s": len(cases)}
    counts |= {label: decisions.count(name) for name, label in labels.items()}
    numbers = [html.Tile(label, str(count)) for label, count in counts.items()]
    last = {"slices": _page_link, "remarks": _remarks, "s": "seconds", "error": "error"}
    table = case_table(case, {**columns, **last}, cases)
    return html.page(
        f"{system} {job}",
        [
            html.tiles(job.capitalize(), [*numbers, *tiles]),
            html.table(f"{case}s".capitalize(), table, note=note),
            *_files_not_used(results["skipped"]),
            *(section(row) for row in cases if row["has_section"]),
            html.provenance(results["manifest"]),
        ],
        subtitle=f"{subtitle} For research only.",
    )


def _files_not_used(skipped: Sequence[Row]) -> list[html.Section]:
    files = html.table("", table_of({"file": "path", "reason": "reason"}, skipped))
    return [html.details(f"{len(skipped)} files not used", [files])] if skipped else []


def _page_link(case: Row) -> Cell:
    return FileLink("open", f"cases/{case['id']}/{case['page']}") if "page" in case else None


def _remarks(case: Row) -> str:
    return "; ".join(case["remarks"])


def _title(row: Row, has_groups: bool) -> str:
    words = [row["id"], row["group"] if has_groups else None]
    words.append(None if row.get("fold") is None else f"fold {row['fold']}")
    return " ".join(word for word in words if word)


def _name(case: Row) -> Cell:
    return Link(case["title"], case["title"]) if case["has_section"] else case["title"]
