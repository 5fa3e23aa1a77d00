"""The whole of S4C on synthetic patients: phantoms, three trainings, screening, evaluation."""

import os
from pathlib import Path
from typing import Literal

from core import cli
from core.commands.demo import TEST_SEED, Demo, demo
from core.datasets.pancreas import NAMES, NAMES_WITH_DUCT
from core.phantom.ct.cohort import upper_abdomen, write_cohort
from s4c.config import PrepareConfig
from s4c.evaluate import evaluate
from s4c.infer import screen
from s4c.prepare import prepare
from s4c.recipes import RECIPES
from s4c.train import train

NETWORKS = ("tiny-64", "tiny-32", "tiny-16")
NUM_TRAIN, NUM_TEST = 24, 8
TRAIN_SEED = 0


def run(*, out: Path = Path("out/demo")) -> int:
    """Train and screen synthetic patients; no input needed, minutes on two CPU cores.

    Args:
      out: gets phantoms, runs, screening, metrics.json and report.html; must be new or empty.

    Returns:
      0 if every held-out phantom could be screened.
    """
    return demo(
        Demo(
            phantoms=_write_both,
            prepare=lambda known, cache: prepare([known], cache, PrepareConfig()),
            recipes={name: RECIPES[name] for name in NETWORKS},
            train=train,
            predict=lambda new, runs, pred: screen(
                [new / "imagesTr"], runs=[runs / name for name in NETWORKS], out=pred
            ),
            evaluate=evaluate,
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


@cli.user_values()
def write_phantoms(
    out: cli.OnePath,
    *,
    num_cases: int,
    seed: int = 0,
    paper: Literal["pdac", "pnet"] = "pdac",
    spacing_mm: float = 2.0,
    tumor_fraction: float = 0.5,
    diameters_mm: tuple[float, float] = (8.0, 40.0),
) -> None:
    """Write a synthetic cohort in the layout that `train` reads (nnU-Net raw).

    Of the PDAC paper in the arterial phase, in which the tumor stands out most from the pancreas;
    the duct is part of the pancreas (Sec. 2.1). Of the PNET paper in both phases on one grid, and
    the dilated duct is a class of its own (PNET Sec. 2.1).

    Args:
      out: new folder.
      num_cases: patients.
      seed: of the cohort; another seed, other patients.
      paper: whose labels and phases.
      spacing_mm: side of the cubic voxels; the field of view stays 144 × 208 × 256 mm.
      tumor_fraction: share of the patients with a tumor.
      diameters_mm: of the tumors, least and most.
    """
    names = NAMES_WITH_DUCT if paper == "pnet" else NAMES
    write_cohort(
        out,
        num_cases=num_cases,
        seed=seed,
        labels={"background": 0} | {name: id_ for id_, name in names.items()},
        shape=upper_abdomen(spacing_mm),
        spacing_mm=(spacing_mm, spacing_mm, spacing_mm),
        phases=("arterial", "venous") if paper == "pnet" else ("arterial",),
        tumor_fraction=tumor_fraction,
        diameters_mm=diameters_mm,
        num_processes=min(num_cases, os.cpu_count() or 1),
    )
