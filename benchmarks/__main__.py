"""Measures ours beside its peers, and writes the tables of the documents.

`python -m benchmarks --suite cpu` measures all that two cores do in half an hour, `--suite gpu`
what fits ten minutes, `--suite step --only pdac` a part of one suite. `python -m benchmarks
compare` prints ours beside what papers report of themselves, `… readme` writes the tables of
README.md, the papers' READMEs and docs from benchmarks/results/*.json.
"""

import argparse
import logging
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks import provenance, results, suites, tables
from benchmarks.suites import GROUPS, SUITES, Item


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 something failed or differs from its peer, 2 the call is wrong."""
    args = _arguments(argv)
    logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
    if args.command == "compare":
        print(tables.compared(), end="")
        return 0
    if args.command == "readme":
        for path in tables.write():
            print(f"wrote {path}")
        return 0
    # PyTorch needs its share of a GPU; JAX would take three quarters before it is asked to.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    todo = suites.chosen(args.suite, args.only)
    if not todo:
        names = ",".join(args.suite)
        return _refuse(f"nothing in {names} has {args.only!r} in its title: see --list")
    if args.list:
        print("".join(f"{item.file}: {item.title}\n" for item in todo), end="")
        return 0
    if args.out is None and (commit := provenance.commit()).endswith("+changes"):
        start = commit[:7]
        return _refuse(f"the checkout differs from {start}: commit, or write elsewhere with --out")
    minutes = args.minutes or min((GROUPS[n].minutes for n in args.suite if n in GROUPS), default=0)
    return run(todo, out=args.out, repeats=args.repeats, minutes=minutes or float("inf"))


def run(todo: Sequence[Item], *, out: Path | None, repeats: int, minutes: float) -> int:
    """Measure items and save each row at once; no item begins after `minutes`."""
    end, left, failed = time.monotonic() + 60 * minutes, [], []
    for item in todo:
        if time.monotonic() > end:
            left.append(item.title)
            continue
        try:
            for row in item.measure(repeats):
                results.save(item.file, [row], out)
                if row.get("equal") is False:
                    failed.append(f"{row['name']} differs from its peer")
        except Exception:  # one that does not fit a machine must not cost the others
            traceback.print_exc()
            failed.append(item.title)
    for what, titles in {"failed": failed, f"not begun after {minutes} minutes": left}.items():
        if titles:
            print(f"{what}: {', '.join(titles)}", file=sys.stderr)
    return 1 if failed else 0


def _refuse(line: str) -> int:
    print(line, file=sys.stderr)
    return 2


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser("python -m benchmarks", description=about, epilog=more)
    commands = ("run", "compare", "readme")
    parser.add_argument("command", nargs="?", choices=commands, default="run")
    known = ", ".join((*GROUPS, *SUITES))
    parser.add_argument(
        "--suite", type=_names, default=["cpu"], metavar="NAMES", help=f"of {known}; default: cpu"
    )
    parser.add_argument("--only", default="", help="items whose title has this in it")
    parser.add_argument("--repeats", type=_count, default=7, help="turns of each at most")
    parser.add_argument("--minutes", type=float, help="begin nothing more after these")
    parser.add_argument("--out", type=Path, help="folder of results instead of benchmarks/results")
    parser.add_argument("--list", action="store_true", help="print the items and measure nothing")
    return parser.parse_args(argv)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a number from 1; got {text}")
    return int(text)


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in {*GROUPS, *SUITES}]:
        raise argparse.ArgumentTypeError(f"no such suite: {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
