"""The whole of FEE-DL on synthetic patients: messy folders, trainings, diagnosis, evaluation."""

import os
from pathlib import Path

from core import cli
from core.commands.demo import TEST_SEED, Demo, demo
from core.phantom.dicom.cohort import write_dicom_cohort
from fee.evaluate import evaluate
from fee.infer import diagnose
from fee.prepare import prepare
from fee.recipes import RECIPES
from fee.train import train

NETWORKS = ("tiny-locate", "tiny-segment", "tiny-diagnose")
NUM_TRAIN, NUM_TEST = 36, 12
TRAIN_SEED = 0
TUMORS_MM = (30.0, 50.0)
"""Seen in 30 to 61 % of their pancreas's slices, all of which count as slices of a tumor."""
PANCREAS_MM, BODY_MM = 240.0, 320.0
"""Rows and columns of a slice that shows the one, or the other. The demo's few pixels are better
spent on the pancreas: its tumors are 16 to 27 of them wide then."""
NUM_SLICES, SLICE_MM = 29, 5.0
"""The upper abdomen; the paper's slices are 3 to 5 mm apart (Methods, Dataset preparation)."""


def run(*, out: Path = Path("out/fee-demo")) -> int:
    """Train and diagnose synthetic patients; no input needed, minutes on two CPU cores.

    Args:
      out: gets phantoms, runs, diagnoses, metrics.json and report.html; must be new or empty.

    Returns:
      0 if every held-out patient could be diagnosed.
    """
    first = RECIPES[NETWORKS[0]]
    return demo(
        Demo(
            phantoms=_write_both,
            prepare=lambda known, cache: prepare(
                [known], cache, screen=first.screen, prepare=first.prepare
            ),
            recipes={RECIPES[name].task: RECIPES[name] for name in NETWORKS},
            train=train,
            predict=lambda new, runs, pred: diagnose(
                sorted((new / "patients").iterdir()), [runs], pred
            ),
            evaluate=evaluate,
        ),
        out,
    )


def _write_both(known: Path, new: Path) -> None:
    size = RECIPES[NETWORKS[0]].screen.size
    for folder, num, seed in ((known, NUM_TRAIN, TRAIN_SEED), (new, NUM_TEST, TEST_SEED)):
        write_patients(
            folder,
            num_cases=num,
            seed=seed,
            size=size,
            field_of_view_mm=PANCREAS_MM,
            diameters_mm=TUMORS_MM,
        )


@cli.user_values()
def write_patients(
    out: cli.OnePath,
    *,
    num_cases: int,
    seed: int = 0,
    size: int = 512,
    field_of_view_mm: float = BODY_MM,
    tumor_fraction: float = 0.5,
    diameters_mm: tuple[float, float] = (8.0, 40.0),
) -> None:
    """Write synthetic patients as hospitals export them: folders of DICOM, a table and masks.

    Each has an arterial and a venous series.

    Args:
      out: new folder.
      num_cases: patients.
      seed: of the cohort; another seed, other patients.
      size: rows and columns of a slice.
      field_of_view_mm: of a slice.
      tumor_fraction: share of the patients with a tumor.
      diameters_mm: of the tumors, least and most.
    """
    pixel_mm = field_of_view_mm / size
    write_dicom_cohort(
        out,
        num_patients=num_cases,
        seed=seed,
        shape=(NUM_SLICES, size, size),
        spacing_mm=(SLICE_MM, pixel_mm, pixel_mm),
        tumor_fraction=tumor_fraction,
        diameters_mm=diameters_mm,
        num_processes=min(num_cases, os.cpu_count() or 1),
    )
