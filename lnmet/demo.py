"""LNMet on synthetic patients: phantoms, organs, attention, lymph nodes, evaluation."""

import os
from collections.abc import Callable
from pathlib import Path

from core import cli
from core.commands.demo import TEST_SEED, Demo, demo
from core.phantom.ct.cohort import upper_abdomen, write_cohort
from lnmet.config import RECIPES
from lnmet.evaluate import evaluate
from lnmet.infer import segment
from lnmet.prepare import prepare
from lnmet.train import train

NETWORKS = ("tiny-organs", "tiny-nodes")
NUM_TRAIN, NUM_TEST = 24, 8
TRAIN_SEED = 0
STRUCTURES = (
    *("spleen", "esophagus", "stomach", "aorta", "pancreas", "duodenum"),
    *("superior_mesenteric_artery", "celiac_trunk_splenic_artery", "left_gastric_artery"),
    *("common_hepatic_proper_hepatic_artery", "tumor", "lymph_node", "metastatic_lymph_node"),
)
"""Labels of the phantoms: ten organs and vessels, the tumor, and nodes with their status."""


def run(*, out: Path = Path("out/lnmet-demo")) -> int:
    """Train and segment synthetic patients; no input needed, minutes on two CPU cores.

    Args:
      out: gets phantoms, runs, segmentations, metrics.json and report.html; must be new or empty.

    Returns:
      0 if every held-out phantom could be segmented.
    """
    return demo(
        Demo(
            phantoms=_write_both,
            prepare=_prepare_both,
            trainings={name: _training(name) for name in NETWORKS},
            predict=lambda new, runs, pred: segment(
                [new / "imagesTr"], runs=[runs / name for name in NETWORKS], out=pred
            ),
            evaluate=evaluate,
        ),
        out,
    )


def _write_both(known: Path, new: Path) -> None:
    write_phantoms(known, num_cases=NUM_TRAIN, seed=TRAIN_SEED)
    write_phantoms(new, num_cases=NUM_TEST, seed=TEST_SEED)


def _prepare_both(known: Path, cache: Path) -> None:
    for name in NETWORKS:
        prepare([known], cache, RECIPES[name].prepare)


def _training(name: str) -> Callable[[Path, Path], None]:
    return lambda cache, workdir: train(RECIPES[name], [cache], workdir)


@cli.user_values()
def write_phantoms(
    out: cli.OnePath,
    *,
    num_cases: int,
    seed: int = 0,
    spacing_mm: float = 2.0,
    tumor_fraction: float = 1.0,
    diameters_mm: tuple[float, float] = (12.0, 40.0),
    breath_mm: float = 0.0,
) -> None:
    """Write a synthetic two-phase cohort in the layout that `train` reads (nnU-Net raw).

    Channel 0 is arterial, channel 1 venous.

    Args:
      out: new folder.
      num_cases: patients.
      seed: of the cohort; another seed, other patients.
      spacing_mm: side of the cubic voxels; the field of view stays 144 × 208 × 256 mm.
      tumor_fraction: share of the patients with a tumor; only their nodes can be metastatic.
      diameters_mm: of the tumors, least and most.
      breath_mm: how far the arterial phase is displaced at most, as by a breath; `lnmet register`
        brings it back.
    """
    write_cohort(
        out,
        num_cases=num_cases,
        seed=seed,
        labels={"background": 0} | {name: id_ for id_, name in enumerate(STRUCTURES, start=1)},
        shape=upper_abdomen(spacing_mm),
        spacing_mm=(spacing_mm, spacing_mm, spacing_mm),
        phases=("arterial", "venous"),
        tumor_fraction=tumor_fraction,
        diameters_mm=diameters_mm,
        breath_mm=breath_mm,
        num_processes=min(num_cases, os.cpu_count() or 1),
    )
