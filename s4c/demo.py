"""The whole of S4C on synthetic patients: phantoms, three trainings, screening, evaluation."""

import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.datasets.pancreas import NAMES
from core.errors import InputError
from core.phantom.ct.cohort import write_cohort
from core.report.table import to_text
from s4c.config import RECIPES, PrepareConfig
from s4c.evaluate import evaluate
from s4c.evaluation_page import table_1
from s4c.infer import screen
from s4c.prepare import prepare
from s4c.train import train

logger = logging.getLogger(__name__)

NETWORKS = ("tiny-64", "tiny-32", "tiny-16")
NUM_TRAIN, NUM_TEST = 24, 8
TRAIN_SEED, TEST_SEED = 0, 1
FIELD_OF_VIEW_MM = (144.0, 208.0, 256.0)
"""The upper abdomen around the pancreas, (D, H, W)."""


def run(out: Path) -> int:
    """Do it all in `out`, and print the paper's Table 1 with our column.

    Returns:
      0 if every held-out phantom could be screened.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError("is not empty", path=out, hint="choose another --out or remove it")
    start = time.perf_counter()
    known, new, cache = out / "phantoms" / "train", out / "phantoms" / "test", out / "prepared"
    logger.info("writing %d + %d phantoms", NUM_TRAIN, NUM_TEST)
    # Tumors are what takes longest to learn: three in four, and none too small to learn from.
    write_phantoms(
        known,
        num_cases=NUM_TRAIN,
        seed=TRAIN_SEED,
        tumor_fraction=0.75,
        diameters_mm=(12.0, 45.0),
    )
    write_phantoms(new, num_cases=NUM_TEST, seed=TEST_SEED)
    prepare(known, cache, PrepareConfig())
    runs = [out / "runs" / name for name in NETWORKS]
    logger.info("training %s", ", ".join(NETWORKS))
    # Side by side: one compiles, or waits for a part that only one core can do, while another runs.
    with ThreadPoolExecutor(len(NETWORKS)) as pool:
        recipes = [RECIPES[name] for name in NETWORKS]
        list(pool.map(lambda recipe, workdir: train(recipe, cache, workdir), recipes, runs))
    status = screen([new / "imagesTr"], runs, out / "screening")
    metrics = evaluate(out / "screening", new, out)
    print(to_text(table_1(metrics["summary"])), end="")
    minutes = (time.perf_counter() - start) / 60
    print(f"{out / 'report.html'} written after {minutes:.1f} minutes")
    return status


def write_phantoms(
    out: Path,
    *,
    num_cases: int,
    seed: int,
    spacing_mm: float = 2.0,
    tumor_fraction: float = 0.5,
    diameters_mm: tuple[float, float] = (8.0, 40.0),
) -> None:
    """Write a cohort with S4C's labels; the duct is part of the pancreas (Sec. 2.1).

    In the arterial phase, in which the tumor stands out most from the pancreas.
    """
    write_cohort(
        out,
        num_cases=num_cases,
        seed=seed,
        labels={"background": 0} | {name: id_ for id_, name in NAMES.items()},
        shape=tuple(round(mm / spacing_mm) for mm in FIELD_OF_VIEW_MM),
        spacing_mm=(spacing_mm,) * 3,
        phases=("arterial",),
        tumor_fraction=tumor_fraction,
        diameters_mm=diameters_mm,
        num_processes=min(num_cases, os.cpu_count() or 1),
    )
