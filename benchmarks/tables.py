"""Tables of the documents, from benchmarks/results/*.json, between markers."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import results
from benchmarks.harness import Row
from core import atomic
from core.errors import InputError

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", *(f"{p}/README.md" for p in ("s4c", "fee", "lnmet", "eusdaf")))
DOCUMENTS += ("docs/performance.md",)
MARKED = re.compile(r"(<!-- benchmarks: ([\w -]+) -->\n).*?(<!-- benchmarks: end -->)", re.DOTALL)
Columns = Mapping[str, Callable[[Row], str]]
"""By heading, what is written of a row."""


def write() -> list[Path]:
    """Write every table anew; the documents that changed."""
    changed = []
    for name in DOCUMENTS:
        path = ROOT / name
        old = path.read_text("utf-8")
        if (new := filled(old)) != old:
            atomic.write_text(path, new)
            changed.append(path)
    return changed


def filled(text: str) -> str:
    """A document with the tables that its markers name.

    Raises:
      InputError: a marker names no table.
    """

    def table(match: re.Match) -> str:
        begin, name, end = match.groups()
        if name not in TABLES:
            raise InputError(f"no table {name!r}", hint=f"known are {', '.join(TABLES)}")
        return f"{begin}{TABLES[name]()}{end}"

    return MARKED.sub(table, text)


def compared() -> str:
    """What papers and peers report of themselves, and our row that does the same, if any does."""
    measured = {row["name"]: row for file in results.names() for row in results.load(file)}
    columns: Columns = {
        "system": lambda said: said["system"],
        "what": lambda said: said["what"],
        "reported": lambda said: f"{said['value']:g} {said['unit']}",
        "on": lambda said: said["hardware"],
        "ours": lambda said: _ours(said, measured),
        "ours on": lambda said: measured.get(said.get("ours", ""), {}).get("device", "–"),
    }
    return markdown(columns, results.reported())


def _ours(said: Row, measured: Mapping[str, Row]) -> str:
    row = measured.get(said.get("ours", ""))
    if row is None:
        return "–"
    seconds = row["ours_s"] / said["examples"]
    return f"{seconds if said['kind'] == 'time' else 1 / seconds:.3g} {said['unit']}"


def markdown(columns: Columns, rows: Sequence[Row]) -> str:
    """Lines of a table in Markdown; one that says so where there is no row."""
    if not rows:
        return "Not measured yet.\n"
    cells = [[text(row) for text in columns.values()] for row in rows]
    lines = [list(columns), ["---"] * len(columns), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _timed(*files: str, of: tuple[str, ...] = ("",)) -> str:
    """Rows beside a peer."""
    rows = [row for file in files for row in results.load(file) if row["name"].startswith(of)]
    columns: Columns = {
        "what": lambda row: row["name"],
        "ours": lambda row: _seconds(row["ours_s"]),
        "peer": lambda row: _seconds(row["peer_s"]),
        "times as fast": lambda row: f"{row['ratio']:.2f}" if row["ratio"] else "–",
        "equal": lambda row: {True: "yes", False: "**no**", None: "–"}[row["equal"]],
        "beside": lambda row: row["peer"] or "–",
        **_ORIGIN,
    }
    return markdown(columns, rows)


def _stages() -> str:
    """Seconds of each stage of FEE-DL's patient, as last measured beside the peer."""
    rows = [row for row in results.load("case-fee") if row["peer"]]
    if not rows:
        return markdown({}, [])
    row = rows[-1]
    columns: Columns = {
        "stage": lambda line: line["stage"],
        "ours": lambda line: f"{line['ours']:.1f}",
        "PyTorch": lambda line: f"{line['peer']:.1f}",
    }
    ours, peer = row["stages"]["ours"], row["stages"]["peer"]
    lines = [{"stage": name, "ours": ours[name], "peer": peer[name]} for name in ours]
    whole = {"stage": "**whole**", "ours": row["ours_s"], "peer": row["peer_s"]}
    return markdown(columns, [*lines, whole])


def _loader() -> str:
    columns: Columns = {
        "recipe": lambda row: row["name"],
        "a batch": lambda row: _seconds(row["ours_s"]),
        "samples a second": lambda row: f"{row['samples_per_s']:.1f}",
        "a core": lambda row: f"{row['samples_per_s_and_core']:.1f}",
        **_ORIGIN,
    }
    return markdown(columns, results.load("loader"))


def _memory() -> str:
    columns: Columns = {
        "case": lambda row: row["name"],
        "host, whole process": lambda row: _gib(row["host_peak_bytes"]),
        "of it before the case": lambda row: _gib(row["host_bytes_before"]),
        "accelerator": lambda row: _gib(row["device_peak_bytes"]),
        **_ORIGIN,
    }
    return markdown(columns, results.load("memory"))


def _scaling() -> str:
    columns: Columns = {
        "step": lambda row: row["name"],
        "seconds": lambda row: _seconds(row["ours_s"]),
        "collectives": lambda row: str(row["collectives"]),
        "MB in them": lambda row: f"{row['collective_bytes'] / 1e6:.1f}",
        "alone": lambda row: _seconds(row["collectives_s"]),
        "equal to one device": lambda row: "yes" if row["equal"] else "**no**",
        **_ORIGIN,
    }
    return markdown(columns, results.load("scaling"))


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.3g} ms"


def _gib(value: int | None) -> str:
    return "–" if value is None else f"{value / 2**30:.2f} GiB"


_ORIGIN: Columns = {
    "on": lambda row: row["device"],
    "commit": lambda row: row["commit"][:7] + "+" * row["commit"].endswith("+changes"),
}
STEPS = tuple(f"step-{paper}" for paper in ("s4c", "lnmet", "eusdaf", "fee"))
CASES = tuple(f"case-{system}" for system in ("s4c", "nnunet", "fee"))
SUMMARY = ("s4c/pdac-64 ", "lnmet/nodes ", "eusdaf/daf ", "fee/segment ")
"""The main network of each paper, by how the names of its rows begin."""
TABLES: Mapping[str, Callable[[], str]] = {
    "summary": lambda: _timed(
        *STEPS, *CASES, of=(*SUMMARY, "s4c coarse", "nnU-Net", "nnunet", "fee 308")
    ),
    "reported": compared,
    "step": lambda: _timed(*STEPS),
    **{name: (lambda name=name: _timed(name)) for name in STEPS},
    "kernels": lambda: _timed("kernels"),
    "kernels-xla": lambda: _timed("kernels-xla"),
    "augment": lambda: _timed("augment"),
    "case": lambda: _timed(*CASES),
    "stages of fee": _stages,
    "loader": _loader,
    "memory": _memory,
    "scaling": _scaling,
}
