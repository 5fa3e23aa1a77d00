"""Times two implementations of one thing in the same process, turn by turn.

Each is warmed up, blocks until its result is there, and takes its turn after the other, so that
what else the machine does meets both. The median counts, the quartiles are printed beside it.
"""

import gc
import logging
import os
import platform
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

from core import compiler
from core.json_io import read_json, write_json
from core.report import manifest

RESULTS = Path(__file__).parent / "results"
Run = Callable[[], Any]
Row = dict[str, Any]


def seconds(runs: Mapping[str, Run], *, repeats: int) -> dict[str, np.ndarray]:
    """Times of every run (repeats,), taken in turns after one warm-up each."""
    for run in runs.values():
        jax.block_until_ready(run())
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            taken[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in taken.items()}


def compare(
    name: str,
    ours: Run,
    peer: Run | None = None,
    *,
    peer_name: str = "",
    equal: bool | Callable[[], bool] | None = None,
    repeats: int = 7,
) -> Row:
    """One row of a benchmark's table, printed as it is made.

    Args:
      name: what is measured, with its shapes.
      ours: does it once; compiled before.
      peer: does the same in another framework; none, ours alone is timed.
      peer_name: framework and version.
      equal: whether the two results agree, or what tells it after the runs; None where nothing was
        compared.
      repeats: timed turns of each.

    Returns:
      The keys of a benchmark row; `ratio` is peer time / our time, above 1 is faster.
    """
    runs = {"ours": ours} | ({"peer": peer} if peer else {})
    taken = seconds(runs, repeats=repeats)
    medians = {key: float(np.median(values)) for key, values in taken.items()}
    peaks = {key: peak_bytes(run) for key, run in runs.items()}
    ratio = medians["peer"] / medians["ours"] if peer else None
    spread = {key: np.subtract(*np.percentile(values, (75, 25))) for key, values in taken.items()}
    equal = equal() if callable(equal) else equal
    shown = "  ".join(f"{k} {medians[k]:.4f} s (IQR {spread[k]:.4f})" for k in runs)
    print(f"{name}: {shown}" + (f"  ratio {ratio:.2f}  equal {equal}" if ratio else ""), flush=True)
    return {
        "name": name,
        "ours_s": medians["ours"],
        "peer": peer_name or None,
        "peer_s": medians.get("peer"),
        "ratio": ratio,
        "ours_peak_bytes": peaks["ours"],
        "peer_peak_bytes": peaks.get("peer"),
        "equal": equal,
        **provenance(),
    }


def provenance() -> dict[str, Any]:
    """Device, versions and commit that a row is of."""
    return {
        "device": device(),
        "versions": manifest.versions(),
        "commit": manifest.commit(Path(__file__).parent),
    }


def compile_step(function: Callable[..., Any], *args: Any, **jit_options: Any) -> Any:
    """Compiled function; the time that took is printed, and counts in no row."""
    start = time.perf_counter()
    compiled = compiler.jit(function, **jit_options).lower(*args).compile()
    print(f"  compiled in {time.perf_counter() - start:.1f} s", flush=True)
    return compiled


def reported(system: str) -> list[Row]:
    """What a paper says about its own times, on its own hardware."""
    rows = tomllib.loads((Path(__file__).parent / "reported.toml").read_text("utf-8"))["timing"]
    return [row for row in rows if row["system"] == system]


def peak_bytes(run: Run) -> int | None:
    """Memory that one more run adds to what the process holds, at its highest.

    On accelerators the device's own count; on Linux the resident set, whose high-water mark is
    reset first; None elsewhere.
    """
    stats = jax.devices()[0].memory_stats()
    if stats is not None:
        jax.block_until_ready(run())
        return int(jax.devices()[0].memory_stats()["peak_bytes_in_use"])
    try:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        before = _status_bytes("VmRSS")
        jax.block_until_ready(run())
        return max(0, _status_bytes("VmHWM") - before)
    except OSError:
        return None


def device() -> str:
    """What the numbers were measured on."""
    kind = jax.devices()[0].device_kind
    if jax.default_backend() != "cpu":
        return f"{len(jax.devices())} × {kind}"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} cores of {models[0]}" if models else platform.machine()


def agree(ours: Any, peer: Any, *, tolerance: float = 1e-4) -> bool:
    """Whether two arrays differ by at most `tolerance` of the largest value."""
    ours, peer = np.asarray(ours), np.asarray(peer)
    return bool(np.abs(ours - peer).max() <= tolerance * np.abs(peer).max())


def peer_module(name: str) -> ModuleType:
    """`benchmarks.peers.NAME`; one line and exit status 2 where its framework is missing."""
    try:
        return import_module(f"benchmarks.peers.{name}")
    except ModuleNotFoundError as error:
        print(
            f"the peer needs {error.name}, which is not installed; run `make peers`",
            file=sys.stderr,
        )
        raise SystemExit(2) from None


def data_folder() -> Path:
    """Real images: `PANJAX_DATA`, or shared/data beside the checkout."""
    return Path(os.environ.get("PANJAX_DATA", Path(__file__).parents[2] / "shared" / "data"))


def talk(*packages: str) -> None:
    """Let these packages tell of their progress on stderr; of others only warnings are shown."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
    for package in packages:
        logging.getLogger(package).setLevel(logging.INFO)


def save(name: str, rows: list[Row]) -> None:
    """Put rows into benchmarks/results/NAME.json in place of those of the same name and device."""
    path, new = RESULTS / f"{name}.json", {(row["name"], row["device"]) for row in rows}
    before = read_json(path) if path.is_file() else []
    RESULTS.mkdir(exist_ok=True)
    write_json(path, [row for row in before if (row["name"], row["device"]) not in new] + rows)


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {field} in /proc/self/status")
