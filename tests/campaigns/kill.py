"""SIGKILL at random moments of real commands: `python -m tests.campaigns.kill --times 100`.

A command is called until it ends, and killed on the way; then it is compared with one that nobody
killed, and begins anew in another folder. After each kill nothing that was finished may be lost,
and nothing that has its name may be broken.
"""

import argparse
import math
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

import s4c.cli
import s4c.infer
import s4c.train
from core import json_io
from core.commands import results
from core.lock import LOCK
from core.train.checkpoint import checkpoint_steps, restore_model
from core.train.checksums import verify_checksums
from tests.conftest import QUICK_TO_COMPILE
from tests.e2e.program import leaves, steps

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- kills: begin -->", "<!-- kills: end -->"
LIMIT_S = 300
FORK = multiprocessing.get_context("fork")
"""A command starts from a process that has imported all and started nothing: three seconds less."""

T = TypeVar("T")


class Command(NamedTuple):
    """What is killed.

    Args:
      what: it is, in the table.
      words: of the command line of `s4c`, but for its folder.
      finished: folder → what is finished there; raises where a named file is broken.
      same: (folder, that of a call nobody killed) → raises where they differ.
    """

    what: str
    words: Sequence[object]
    finished: Callable[[Path], set[object]]
    same: Callable[[Path, Path], None]


class Counts(NamedTuple):
    """How a campaign went; what was lost or wrong ends it."""

    kills: int
    ends: int
    first: float
    last: float


def campaign(
    command: Command, times: int, work: Path, chance: random.Random, *, minutes: float = math.inf
) -> Counts:
    """Kill a command so many times, or for so long; raises where anything is lost or wrong."""
    until = time.monotonic() + 60 * minutes
    whole = work / "whole"
    process = _start(command, whole)
    began = time.monotonic()
    assert _status(process, LIMIT_S) == 0
    length = time.monotonic() - began
    kills, ends, out, before, moments = 0, 0, work / "run-0", set(), []
    while kills < times and time.monotonic() < until:
        moment = chance.uniform(0, length)
        process = _start(command, out)
        status = _status(process, moment)
        if status is None:
            process.kill()
            status = _status(process, LIMIT_S)
        if status == -signal.SIGKILL:
            kills, moments = kills + 1, [*moments, moment]
            now = _apart(command.finished, out)
            assert before <= now, f"lost {before - now}"
            before = now
        else:
            assert status == 0, f"{command.what} ended with {status} after {kills} kills"
            _apart(command.same, out, whole)
            ends, out, before = ends + 1, work / f"run-{ends + 1}", set()
    assert _status(_start(command, out), LIMIT_S) == 0
    _apart(command.same, out, whole)
    return Counts(kills, ends + 1, min(moments), max(moments))


def _start(command: Command, out: Path) -> BaseProcess:
    """Start it, and wait until it is at work in its folder."""
    process = FORK.Process(target=_call, args=([*command.words, "--out", out],))
    process.start()
    while process.is_alive() and not _is_at_work(process, out / LOCK):
        time.sleep(0.002)
    return process


def _call(words: Sequence[object]) -> None:
    """A command in this process, whose status is that of the command."""
    os.environ["XLA_FLAGS"] = QUICK_TO_COMPILE  # not the eight devices of our tests
    sys.argv = ["s4c", *map(str, words), "-q"]
    s4c.cli.main()


def _status(process: BaseProcess, seconds: float) -> int | None:
    """Of a process that ended, or None when it takes longer."""
    process.join(seconds)
    return process.exitcode


def _is_at_work(process: BaseProcess, lock: Path) -> bool:
    with suppress(FileNotFoundError):  # not there yet, or not any more
        return f"process {process.pid} " in lock.read_text()
    return False


def _apart(look: Callable[..., T], *folders: Path) -> T:
    """What a function finds in folders, asked in a process of its own: ours starts no threads."""
    with ProcessPoolExecutor(1, FORK) as pool:
        return pool.submit(look, *folders).result(LIMIT_S)


def trained(run: Path) -> set[object]:
    """Newest step of the complete checkpoints; the set grows, as old ones are dropped."""
    newest = [0]
    for folder in (run / "checkpoints", run / "best"):
        for step in (found := checkpoint_steps(folder)):
            verify_checksums(folder / str(step))
        if found:
            restore_model(folder)
            newest += found if folder.name == "checkpoints" else ()
    json_io.read_lines(run / "metrics.jsonl")
    _read_json(run)
    return set(range(max(newest) + 1))


def same_training(run: Path, whole: Path) -> None:
    """Bit for bit, and the same log but for its times."""
    for a, b in zip(leaves(run), leaves(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    assert steps(run) == steps(whole)
    assert {p.name for p in run.iterdir()} == {p.name for p in whole.iterdir()}


def screened(out: Path) -> set[object]:
    """Cases that are done; what results name is there, and whole."""
    rows = results.done_before(out).values()
    for row in rows:
        folder = out / "cases" / row["id"]
        assert all((folder / name).stat().st_size for name in (*row["files"], row["page"]))
        json_io.read_json(folder / "prediction.json")
    _read_json(out)
    return {row["id"] for row in rows}


def same_screening(out: Path, whole: Path) -> None:
    """The same rows but for their times, and every file of the cases byte for byte."""
    told = [[{**c, "seconds": 0} for c in results.read(o, "")["cases"]] for o in (out, whole)]
    assert told[0] == told[1]
    names = [sorted(p.relative_to(o) for p in o.rglob("*") if p.is_file()) for o in (out, whole)]
    assert names[0] == names[1]
    for name in names[0]:
        if name.name.endswith((".nii.gz", ".png")):
            assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def _read_json(folder: Path) -> None:
    for path in folder.glob("[!.]*.json"):  # what was being written aside has not its name yet
        json_io.read_json(path)


def commands(work: Path) -> Iterator[Command]:
    """A training and the screening of a cohort, on phantoms."""
    data, cohort, cache, run = (work / name for name in ("data", "cohort", "cache", "network"))
    few = ["--model.width", "2", "--data.batch", "2", "--infer.batch", "4", "--infer.stride", "16"]
    few += ["--run.log-every", "1", "--run.checkpoint-every", "4", "--run.evaluate-every", "10"]
    for folder, num in ((data, 4), (cohort, 8)):
        _done("phantom", folder, "--num-cases", num, "--seed", num, "--spacing-mm", 6)
    _done("prepare", "--data", data, "--out", cache)
    words = ["train", "tiny-16", "--data", cache, "--run.steps", 40, *few, "--resume"]
    yield Command("`s4c train`, 40 steps", words, trained, same_training)
    _done(*words, "--out", run)
    words = ["screen", cohort / "imagesTr", "--run", run]
    yield Command("`s4c screen`, 8 cases", words, screened, same_screening)


def _done(*words: object) -> None:
    process = FORK.Process(target=_call, args=(words,))
    process.start()
    assert _status(process, LIMIT_S) == 0


def main() -> None:
    """Run the campaigns and write their counts into docs/reliability.md."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.kill", description=__doc__)
    parser.add_argument("--times", type=int, default=100, help="kills of each command")
    parser.add_argument("--minutes", type=float, default=math.inf, help="for each, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--write", action="store_true", help=f"put the counts into {PAGE.name}")
    args = parser.parse_args()
    lines = [
        "| command | SIGKILLs | seconds after it began to work | runs to their end | lost | wrong |"
    ]
    lines += ["|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as work:
        for number, command in enumerate(commands(Path(work))):
            folder = Path(work) / f"campaign-{number}"
            chance = random.Random(args.seed)
            count = campaign(command, args.times, folder, chance, minutes=args.minutes)
            span = f"{count.first:.2f} to {count.last:.2f}"
            lines.append(f"| {command.what} | {count.kills} | {span} | {count.ends} | 0 | 0 |")
            print(lines[-1], flush=True)
    if args.write:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text("\n".join([f"{before}{BEGIN}", *lines, f"{END}{after}"]), "utf-8")


if __name__ == "__main__":
    main()
