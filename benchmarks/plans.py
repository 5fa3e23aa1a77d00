"""Every recipe on machines that are not here: memory, work and least time of a chip.

`python -m benchmarks.plans --on h100:8 --on v5e:4x4` compiles, which takes minutes for a recipe,
and keeps each row in benchmarks/results/plans/*.json; what is there already is not compiled
again, unless its recipe changed or `--again` asks for it. Whatever it did, it writes the tables of
docs/scaling.md.
"""

import argparse
import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import jax

from benchmarks import lowering, provenance
from benchmarks.results import RESULTS
from core import config
from core.atomic import write_text
from core.commands.plan import planned_on
from core.json_io import read_json, write_json
from core.plan import text
from core.plan.program import state_of

PAPERS = ("s4c", "lnmet", "fee", "eusdaf")
DOCUMENT = Path(__file__).parents[1] / "docs" / "scaling.md"
KEPT = RESULTS / "plans"
BEGIN, END = "<!-- plans: begin -->", "<!-- plans: end -->"
HEAD = (
    "| recipe | batch | chips | GiB a chip | TFLOP | GB moved | collectives | step, ms | bound by "
    "| recipe, h | host, ms | cores | asking, GiB | asking, ms | checkpoint, MB "
    "| cache, GB | commit |"
)


def main() -> None:
    """Compile what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--on", action="append", default=[], help="a machine, as of `plan`")
    parser.add_argument("--recipe", action="append", help="paper/recipe; default: all")
    parser.add_argument("--again", action="store_true", help="compile what is there, too")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start none after that")
    args = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    stop = time.monotonic() + 60 * args.minutes
    for machine in args.on:
        for name, cfg, job_of in recipes():
            if time.monotonic() < stop and name in (args.recipe or [name]):
                _add(machine, name, cfg, job_of, again=args.again)
    write_text(DOCUMENT, document(DOCUMENT.read_text("utf-8")))


def recipes() -> Iterator[tuple[str, Any, Any]]:
    """Name, config and what makes its job: those of the papers, and of two phases the venous."""
    for paper in PAPERS:
        job_of = import_module(f"{paper}.plan").job_of
        for name, cfg in import_module(f"{paper}.cli").RECIPES.items():
            if not name.startswith("tiny-") and name != "tiny" and "arterial" not in name:
                yield f"{paper}/{name}", cfg, job_of


def _add(machine: str, name: str, cfg: Any, job_of: Any, *, again: bool) -> None:
    path = KEPT / f"{machine.replace(':', '-')}.json"
    path.parent.mkdir(exist_ok=True)
    rows = read_json(path) if path.is_file() else []
    known = {row["recipe"]: row["fingerprint"] for row in rows}
    if not again and known.get(name) == config.fingerprint(cfg):
        return
    print(f"{name} on {machine}", flush=True)
    job = job_of(cfg)
    plan = planned_on(job, machine)
    print(text.as_text(plan), flush=True)
    row = {"recipe": name, "fingerprint": config.fingerprint(cfg), **text.as_values(plan)}
    row |= {"versions": provenance.versions(), "commit": provenance.commit()}
    if plan.chip.target:
        row["kernels"] = lowering.summary(plan.step.text, state_of(job).params)
    order = [recipe for recipe, *_ in recipes()]
    rows = [row for row in rows if row["recipe"] != name and row["recipe"] in order] + [row]
    write_json(path, sorted(rows, key=lambda row: order.index(row["recipe"])))


def document(before: str) -> str:
    """The document with tables of all results between its marks."""
    head, _, rest = before.partition(BEGIN)
    files = sorted(KEPT.glob("*.json"))
    tables = "\n\n".join(table for path in files for table in _tables(read_json(path)))
    return f"{head}{BEGIN}\n{tables}\n{END}{rest.partition(END)[2]}"


def _tables(rows: list[dict[str, Any]]) -> Iterator[str]:
    first = rows[0]
    title = f"### {first['machine']}: {first['chips']} × {first['chip']['name']}"
    yield f"{title}\n\n{_table(HEAD, map(_row, rows))}"
    if kernels := [lowering.table_row(row) for row in rows if "kernels" in row]:
        yield f"What cuDNN is asked for in these steps:\n\n{_table(lowering.HEAD, kernels)}"


def _table(head: str, rows: Iterable[str]) -> str:
    return "\n".join([head, "|---|" + "---:|" * (head.count("|") - 2), *rows])


def _row(row: dict[str, Any]) -> str:
    step, ask, memory = row["step"], row["ask"], row["chip"]["memory"] / 2**30
    held = [f"{p['peak_bytes'] / 2**30:.2f}" + ("" if p["fits"] else " (!)") for p in (step, ask)]
    best = step["seconds"]["total"]
    collectives = [f"{sent['count']} {kind}" for kind, sent in step["collectives"].items()]
    cells = [
        f"`{row['recipe']}`",
        step["examples"],
        f"{step['chips']} of {row['chips']}",
        f"{held[0]} of {memory:.0f}",
        f"{step['flops'] / 1e12:.3g}",
        _number(step["moved_bytes"], 1e-9),
        ", ".join(collectives) or "none",
        _number(best, 1e3),
        step["seconds"]["bound"] if best else "",
        _number(best and best * row["steps"], 1 / 3600),
        f"{row['core_seconds'] * 1000:.3g}",
        _number(best and row["core_seconds"] / best, 1),
        held[1],
        _number(ask["seconds"]["total"], 1e3),
        f"{row['checkpoint_bytes'] / 1e6:.0f}",
        f"{row['cache_bytes'] / 1e9:.3g}",
        row["commit"][:7],
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _number(value: float | None, factor: float) -> str:
    """Three digits; nothing of a program that did not compile."""
    return "" if value is None else f"{value * factor:.3g}"


if __name__ == "__main__":
    main()
