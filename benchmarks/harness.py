"""Times two implementations of one thing in the same process, turn by turn.

Each is warmed up, blocks until its result is there, and takes its turn after the other, so that
what else the machine does meets both. The median counts, the quartiles are kept beside it.
"""

import gc
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import jax
import numpy as np

from benchmarks.provenance import provenance
from core import compiler

logger = logging.getLogger(__name__)

T = TypeVar("T")
Run = Callable[[], Any]
Row = dict[str, Any]
SECONDS, FEWEST = 6.0, 3
"""Turns of a row end when there are so many and they have taken so long together, or when they have
taken three times as long; each side has one."""
TOLERANCE = {"cpu": 1e-4}
OF_TF32 = 5e-3
"""Accelerators multiply float32 with 11 significant bits unless they are told otherwise."""


def compare(
    name: str,
    ours: Run,
    peer: Run | None = None,
    *,
    peer_name: str = "",
    equal: Callable[[Any, Any], bool] | None = None,
    repeats: int = 7,
) -> Row:
    """One row of a benchmark's table, printed as it is made.

    Args:
      name: what is measured, with its shapes.
      ours: does it once; compiled before.
      peer: does the same in another framework; none, ours alone is timed.
      peer_name: framework and version.
      equal: whether the results of both, of their warm-up, agree; None where nothing is compared.
      repeats: timed turns of each at most; fewer where they take long, see `SECONDS`.

    Returns:
      The keys of a benchmark row; `ratio` is peer time / our time, above 1 is faster.
    """
    runs = {"ours": ours} | ({"peer": peer} if peer else {})
    results = {side: jax.block_until_ready(run()) for side, run in runs.items()}
    same = equal(results["ours"], results["peer"]) if equal and peer else None
    results.clear()
    taken, peaks = turns(runs, repeats)
    medians = {side: float(np.median(times)) for side, times in taken.items()}
    spread = {side: float(np.subtract(*np.percentile(t, (75, 25)))) for side, t in taken.items()}
    ratio = medians["peer"] / medians["ours"] if peer else None
    shown = "  ".join(f"{k} {medians[k]:.4f} s (IQR {spread[k]:.4f})" for k in runs)
    print(f"{name}: {shown}" + (f"  ratio {ratio:.2f}  equal {same}" if ratio else ""), flush=True)
    return {
        "name": name,
        "ours_s": medians["ours"],
        "ours_iqr_s": spread["ours"],
        "peer": peer_name or None,
        "peer_s": medians.get("peer"),
        "peer_iqr_s": spread.get("peer"),
        "ratio": ratio,
        "turns": len(taken["ours"]),
        "ours_peak_bytes": peaks["ours"],
        "peer_peak_bytes": peaks.get("peer"),
        "equal": same,
        **provenance(),
    }


def turns(
    runs: Mapping[str, Run], repeats: int
) -> tuple[dict[str, list[float]], dict[str, int | None]]:
    """Seconds of every turn of every run, and the most memory that a turn added."""
    taken: dict[str, list[float]] = {side: [] for side in runs}
    peaks: dict[str, int | None] = dict.fromkeys(runs)
    begin = time.perf_counter()
    with _little_to_collect():
        for number in range(repeats):
            passed = time.perf_counter() - begin
            if number and passed > (SECONDS if number >= FEWEST else 3 * SECONDS):
                break
            for side, run in runs.items():
                gc.collect()
                before = _resident_before()
                start = time.perf_counter()
                jax.block_until_ready(run())
                taken[side].append(time.perf_counter() - start)
                if before is not None:
                    peaks[side] = max(peaks[side] or 0, status_bytes("VmHWM") - before, 0)
    return taken, peaks


@contextmanager
def _little_to_collect() -> Iterator[None]:
    """Collections look at new objects alone: at those of all peers' modules for 0.2 s each."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def compile_step(function: Callable[..., Any], *args: Any, **jit_options: Any) -> Any:
    """Compiled function; the time that took is printed, and counts in no row."""
    start = time.perf_counter()
    compiled = compiler.jit(function, **jit_options).lower(*args).compile()
    print(f"  compiled in {time.perf_counter() - start:.1f} s", flush=True)
    return compiled


def drawn(init: Callable[[jax.Array], Any]) -> tuple[Any, Any]:
    """Parameters and model state of seed 0, on the host: no time depends on their values."""
    variables = compiler.jit(init, runs_once=True)(jax.random.key(0))
    variables = dict(jax.tree.map(np.asarray, variables))
    return variables.pop("params"), variables


def in_a_process(function: Callable[..., T], *args: Any, env: Mapping[str, str] | None = None) -> T:
    """What a function of a module returns in a process of its own, which is as good as new.

    Args:
      function: of a module.
      *args: that can be pickled.
      env: settings, such as XLA_FLAGS, that are there before JAX looks.
    """
    spawn = get_context("spawn")
    options = {"initializer": _settings, "initargs": (dict(env or {}),)}
    with ProcessPoolExecutor(1, mp_context=spawn, **options) as pool:
        return pool.submit(function, *args).result()


def _settings(env: Mapping[str, str]) -> None:
    os.environ.update(env)


def tolerance() -> float:
    """Of the largest value: what rounding does to float32 on this backend."""
    return TOLERANCE.get(jax.default_backend(), OF_TF32)


def agree(ours: Any, peer: Any, *, within: float | None = None) -> bool:
    """Whether two arrays differ by at most `within`, or `tolerance()`, of the largest value."""
    ours, peer = np.asarray(ours), np.asarray(peer)
    return bool(np.abs(ours - peer).max() <= (within or tolerance()) * np.abs(peer).max())


@cache
def peer_module(name: str) -> ModuleType | None:
    """`benchmarks.peers.NAME`; None, and one line, where what it needs is not installed."""
    try:
        return import_module(f"benchmarks.peers.{name}")
    except ModuleNotFoundError as error:
        logger.warning("%s is not installed: no %s beside ours (make peers)", error.name, name)
        return None


def talk(*packages: str) -> None:
    """Let these packages tell of their progress on stderr; of others only warnings are shown."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
    for package in packages:
        logging.getLogger(package).setLevel(logging.INFO)


def _resident_before() -> int | None:
    """Resident bytes, their high-water mark reset to them; None where nobody can tell.

    An accelerator counts from the start of the process: the suite `memory` starts one for each.
    """
    if jax.default_backend() != "cpu":
        return None
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return status_bytes("VmRSS")
    except OSError:
        return None


def status_bytes(field: str) -> int:
    """A field of this process's status on Linux, such as VmHWM, the most it ever held."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {field} in /proc/self/status")
