"""LNMet on synthetic patients: phantoms, every network, the status of new patients, evaluation."""

import os
from pathlib import Path

from core import cli
from core.commands.demo import Demo, demo
from core.config import fingerprint
from core.phantom.ct.cohort import upper_abdomen, write_cohort
from lnmet.evaluate import evaluate
from lnmet.infer import segment
from lnmet.prepare import prepare
from lnmet.recipes import RECIPES
from lnmet.stage import stage
from lnmet.train import train

AT_ONCE = ("tiny-organs", "tiny-pdac", "tiny-nodes", "tiny-status-no-nodes")
"""Networks that need no other."""
IDENTIFICATION, STATUS = "tiny-identification", "tiny-status"
"""And then these: of the nodes' network, and of the nodes that were segmented and identified."""
NUM_TRAIN, NUM_TEST = 30, 20
TRAIN_SEED, NEW_SEED = 0, 102
"""Patients of `core.commands.demo.TEST_SEED` were seen when the steps of `tiny-*` were set."""
STRUCTURES = (
    *("spleen", "esophagus", "stomach", "aorta", "pancreas", "duodenum"),
    *("superior_mesenteric_artery", "celiac_trunk_splenic_artery", "left_gastric_artery"),
    *("common_hepatic_proper_hepatic_artery", "tumor", "lymph_node", "metastatic_lymph_node"),
)
"""Labels of the phantoms: ten organs and vessels, the tumor, and nodes with their status."""


def run(*, out: Path = Path("out/lnmet-demo")) -> int:
    """Train all networks and tell the status of synthetic patients; minutes on two CPU cores.

    Args:
      out: gets phantoms, runs, predictions, metrics.json and report.html; must be new or empty.

    Returns:
      0 if every held-out phantom went through.
    """
    return demo(
        Demo(
            phantoms=_write_both,
            prepare=_prepare_both,
            recipes={name: RECIPES[name] for name in AT_ONCE},
            train=train,
            predict=_stage,
            evaluate=evaluate,
        ),
        out,
    )


def _write_both(known: Path, new: Path) -> None:
    write_phantoms(known, num_cases=NUM_TRAIN, seed=TRAIN_SEED)
    write_phantoms(new, num_cases=NUM_TEST, seed=NEW_SEED)


def _prepare_both(known: Path, cache: Path) -> None:
    for cfg in {fingerprint(RECIPES[n].prepare): RECIPES[n].prepare for n in AT_ONCE}.values():
        prepare([known], cache, cfg)


def _stage(new: Path, runs: Path, pred: Path) -> int:
    """Train what needs other networks, then tell the status of the new patients."""
    known, cache, segmented = (runs.parent / n for n in ("phantoms/train", "prepared", "segmented"))
    of_nodes = [runs / "tiny-organs", runs / "tiny-nodes", runs / IDENTIFICATION]
    train(RECIPES[IDENTIFICATION], [cache], runs / IDENTIFICATION, weights=runs / "tiny-nodes")
    segment([known / "imagesTr"], runs=of_nodes, out=segmented)
    train(RECIPES[STATUS], [cache], runs / STATUS, nodes=[segmented])
    every = [*of_nodes, runs / "tiny-pdac", runs / STATUS, runs / "tiny-status-no-nodes"]
    return stage([new / "imagesTr"], runs=every, out=pred)


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
    metastatic_texture: bool = True,
) -> None:
    """Write a synthetic two-phase cohort in the layout that `train` reads (nnU-Net raw).

    Channel 0 is arterial, channel 1 venous. Beside them status.csv tells who has metastatic nodes.

    Args:
      out: new folder.
      num_cases: patients.
      seed: of the cohort; another seed, other patients.
      spacing_mm: side of the cubic voxels; the field of view stays 144 × 208 × 256 mm.
      tumor_fraction: share of the patients with a tumor; only their nodes can be metastatic.
      diameters_mm: of the tumors, least and most.
      breath_mm: how far the arterial phase is displaced at most, as by a breath; `lnmet register`
        brings it back.
      metastatic_texture: tumors of patients with metastatic nodes are more uneven, most of them;
        without, nothing but the nodes tells who has some.
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
        metastatic_texture=metastatic_texture,
        status_table=True,
        num_processes=min(num_cases, os.cpu_count() or 1),
    )
