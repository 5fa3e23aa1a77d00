"""The whole of S4C on synthetic patients: phantoms, three trainings, screening, evaluation."""

import os
from collections.abc import Callable
from pathlib import Path

from core.commands.demo import TEST_SEED, Demo, demo
from core.datasets.pancreas import NAMES
from core.phantom.ct.cohort import write_cohort
from core.report.table import Table
from s4c.config import RECIPES, PrepareConfig
from s4c.evaluate import evaluate
from s4c.evaluation_page import table_1
from s4c.infer import screen
from s4c.prepare import prepare
from s4c.train import train

NETWORKS = ("tiny-64", "tiny-32", "tiny-16")
NUM_TRAIN, NUM_TEST = 24, 8
TRAIN_SEED = 0
FIELD_OF_VIEW_MM = (144.0, 208.0, 256.0)
"""The upper abdomen around the pancreas, (D, H, W)."""


def run(out: Path) -> int:
    """Do it all in `out`, and print the paper's Table 1 with our column.

    Returns:
      0 if every held-out phantom could be screened.
    """
    return demo(
        Demo(
            phantoms=_write_both,
            prepare=lambda known, cache: prepare([known], cache, PrepareConfig()),
            trainings={name: _training(name) for name in NETWORKS},
            predict=lambda new, runs, pred: screen(
                [new / "imagesTr"], [runs / name for name in NETWORKS], pred
            ),
            evaluate=_evaluated,
        ),
        out,
    )


def _write_both(known: Path, new: Path) -> None:
    # Tumors are what takes longest to learn: three in four, and none too small to learn from.
    write_phantoms(
        known,
        num_cases=NUM_TRAIN,
        seed=TRAIN_SEED,
        tumor_fraction=0.75,
        diameters_mm=(12.0, 45.0),
    )
    write_phantoms(new, num_cases=NUM_TEST, seed=TEST_SEED)


def _training(name: str) -> Callable[[Path, Path], None]:
    return lambda cache, workdir: train(RECIPES[name], [cache], workdir)


def _evaluated(pred: Path, truth: Path, out: Path) -> Table:
    return table_1(evaluate([pred], [truth], out))


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
    depth, height, width = (round(mm / spacing_mm) for mm in FIELD_OF_VIEW_MM)
    write_cohort(
        out,
        num_cases=num_cases,
        seed=seed,
        labels={"background": 0} | {name: id_ for id_, name in NAMES.items()},
        shape=(depth, height, width),
        spacing_mm=(spacing_mm, spacing_mm, spacing_mm),
        phases=("arterial",),
        tumor_fraction=tumor_fraction,
        diameters_mm=diameters_mm,
        num_processes=min(num_cases, os.cpu_count() or 1),
    )
