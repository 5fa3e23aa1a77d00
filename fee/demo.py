"""The whole of FEE-DL on synthetic patients: messy folders, trainings, diagnosis, evaluation."""

import os
from collections.abc import Callable
from pathlib import Path

from core.commands.demo import TEST_SEED, Demo, demo
from core.phantom.dicom.cohort import write_dicom_cohort
from core.report.table import Table
from fee.config import RECIPES
from fee.evaluate import evaluate
from fee.evaluation_page import system_table
from fee.infer import diagnose
from fee.prepare import prepare
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


def run(out: Path) -> int:
    """Do it all in `out`, and print the paper's figures beside ours.

    Returns:
      0 if every held-out patient could be diagnosed.
    """
    first = RECIPES[NETWORKS[0]]
    return demo(
        Demo(
            phantoms=_write_both,
            prepare=lambda known, cache: prepare(
                [known], cache, screen=first.screen, cfg=first.prepare
            ),
            trainings={RECIPES[name].task: _training(name) for name in NETWORKS},
            predict=lambda new, runs, pred: diagnose(
                sorted((new / "patients").iterdir()), [runs], pred
            ),
            evaluate=_evaluated,
        ),
        out,
    )


def _write_both(known: Path, new: Path) -> None:
    size = RECIPES[NETWORKS[0]].screen.size
    for folder, num, seed in ((known, NUM_TRAIN, TRAIN_SEED), (new, NUM_TEST, TEST_SEED)):
        write_patients(
            folder,
            num_patients=num,
            seed=seed,
            size=size,
            field_of_view_mm=PANCREAS_MM,
            diameters_mm=TUMORS_MM,
        )


def _training(name: str) -> Callable[[Path, Path], None]:
    return lambda cache, workdir: train(RECIPES[name], [cache], workdir)


def _evaluated(pred: Path, truth: Path, out: Path) -> Table:
    return system_table(evaluate([pred], [truth], out))


def write_patients(
    out: Path,
    *,
    num_patients: int,
    seed: int,
    size: int,
    field_of_view_mm: float = BODY_MM,
    tumor_fraction: float = 0.5,
    diameters_mm: tuple[float, float] = (8.0, 40.0),
) -> None:
    """Write patients with an arterial and a venous series each, as hospitals export them."""
    pixel_mm = field_of_view_mm / size
    write_dicom_cohort(
        out,
        num_patients=num_patients,
        seed=seed,
        shape=(NUM_SLICES, size, size),
        spacing_mm=(SLICE_MM, pixel_mm, pixel_mm),
        tumor_fraction=tumor_fraction,
        diameters_mm=diameters_mm,
        num_processes=min(num_patients, os.cpu_count() or 1),
    )
