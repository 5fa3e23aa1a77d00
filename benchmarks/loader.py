"""Batches that the host makes for a training, by threads and by worker processes.

From prepared phantoms in files, as in a training, and waited for by nobody. Where a step takes less
time than its batch, the device waits. Recipes that draw alike stand here once.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.provenance import provenance
from benchmarks.suites import Item
from core.data.pipeline import NUM_THREADS
from core.train.task import Task

CORES = os.cpu_count() or 1
TURN_S = 0.5
"""Batches come in bursts: a turn lasts at least so long."""
BUFFERED = 2 * NUM_THREADS + 4 * CORES
"""More than lie ready when the first is asked for: what is taken after these is made meanwhile."""
NUM_CASES = 4
ENDLESS = 1_000_000
"""Steps, whatever the recipe says: a pass over few phantoms is a few batches long."""
Build = Callable[[int], Task]
"""From the number of worker processes."""
Recipes = Mapping[str, tuple[int, Build]]
"""By name, examples of a batch, and what builds the training."""


def items() -> list[Item]:
    """The recipes of each paper, from one cohort."""
    return [
        Item(f"batches of {paper}", "loader", partial(_measure, paper, recipes), ("cpu",))
        for paper, recipes in PAPERS.items()
    ]


def _measure(paper: str, recipes: Callable[[Path], Recipes], repeats: int) -> Iterator[harness.Row]:
    with TemporaryDirectory() as temporary:
        for name, (batch, build) in recipes(Path(temporary)).items():
            for workers, how in {0: f"{NUM_THREADS} threads", CORES: f"{CORES} processes"}.items():
                made = build(workers).batches(0)
                title = f"{paper}/{name} batch {batch}, {how}"
                yield _row(title, made, batch, repeats)
                del made  # and its processes


def _row(title: str, made: Iterator, batch: int, repeats: int) -> harness.Row:
    """Turns follow each other without a pause, in which batches would pile up."""
    for _ in range(BUFFERED):
        next(made)
    begin, taken = time.perf_counter(), []
    while len(taken) < repeats and time.perf_counter() - begin < harness.SECONDS:
        start, count, passed = time.perf_counter(), 0, 0.0
        while passed < TURN_S:
            next(made)
            count, passed = count + 1, time.perf_counter() - start
        taken.append(passed / count)
    seconds = np.array(taken)
    rate = batch / float(np.median(seconds))
    print(f"{title}: {rate:.1f} samples a second, {rate / CORES:.1f} a core", flush=True)
    return {
        "name": title,
        "ours_s": float(np.median(seconds)),
        "ours_iqr_s": float(np.subtract(*np.percentile(seconds, (75, 25)))),
        "turns": len(taken),
        "samples_per_s": rate,
        "samples_per_s_and_core": rate / CORES,
        **provenance(),
    }


def _s4c(folder: Path) -> Recipes:
    from s4c.demo import write_phantoms
    from s4c.prepare import find_cache, open_cases
    from s4c.recipes import SEGMENTATION
    from s4c.train import build

    write_phantoms(folder / "data", num_cases=NUM_CASES, spacing_mm=1.0, tumor_fraction=1.0)
    chosen = {name: SEGMENTATION[name] for name in ("pdac-64", "pdac-32", "pdac-16")}
    prepare = chosen["pdac-64"].prepare
    cases = open_cases(find_cache([folder / "data"], prepare, folder))
    return {n: (c.data.batch, _of(build, c, cases)) for n, c in chosen.items()}


def _fee(folder: Path) -> Recipes:
    from fee.data import examples
    from fee.demo import write_patients
    from fee.prepare import find_cache, open_series
    from fee.recipes import RECIPES
    from fee.train import build

    write_patients(folder / "data", num_cases=NUM_CASES)
    chosen = {name: RECIPES[name] for name in ("locate", "segment", "diagnose")}
    screen, cfg = chosen["locate"].screen, chosen["locate"].prepare
    series = open_series(find_cache([folder / "data"], folder, screen=screen, cfg=cfg))
    return {n: (c.data.batch, _of(build, c, examples(series, c))) for n, c in chosen.items()}


def _eusdaf(folder: Path) -> Recipes:
    from eusdaf.demo import write_pictures
    from eusdaf.prepare import find_cache, open_cases
    from eusdaf.recipes import RECIPES
    from eusdaf.train import build

    write_pictures(folder / "data", num_cases=NUM_CASES)
    cfg = RECIPES["unet"]
    cases = open_cases(find_cache([folder / "data"], cfg.prepare, folder))
    return {"unet": (cfg.data.batch, _of(build, cfg, cases))}


def _lnmet(folder: Path) -> Recipes:
    import lnmet.identification.train
    import lnmet.segmentation_train
    import lnmet.status.train
    from lnmet.demo import write_phantoms
    from lnmet.prepare import find_cache, open_cases
    from lnmet.recipes import RECIPES
    from lnmet.status.data import Example

    write_phantoms(folder / "data", num_cases=NUM_CASES)
    cases = open_cases(find_cache([folder / "data"], RECIPES["nodes"].prepare, folder))
    of_status = [Example(case, bool(case.status), 500.0) for case in cases]
    build = {
        "organs": _of(lnmet.segmentation_train.build, RECIPES["organs"], cases),
        "nodes": _of(lnmet.segmentation_train.build, RECIPES["nodes"], cases),
        "identification": _of(lnmet.identification.train.build, RECIPES["identification"], cases),
        "status": _of(lnmet.status.train.build, RECIPES["status"], of_status),
        "status-resnet3d": _of(lnmet.status.train.build, RECIPES["status-resnet3d"], of_status),
    }
    return {name: (RECIPES[name].data.batch, made) for name, made in build.items()}


def _of(build: Callable[..., Task], cfg: Any, examples: object) -> Build:
    cfg = replace(cfg, run=replace(cfg.run, steps=ENDLESS, epochs=0))
    return lambda workers: build(cfg, examples, workers=workers)


PAPERS = {"s4c": _s4c, "fee": _fee, "eusdaf": _eusdaf, "lnmet": _lnmet}
