"""The whole of EUSDAF on synthetic patients: phantoms, training, segmentation, evaluation."""

from pathlib import Path
from typing import Literal

from core import cli
from core.commands.demo import TEST_SEED, Demo, demo
from core.phantom.ultrasound.cohort import write_image_cohort
from eusdaf.evaluate import evaluate
from eusdaf.infer import segment
from eusdaf.prepare import prepare
from eusdaf.recipes import RECIPES
from eusdaf.train import train

NETWORK = "tiny"
NUM_TRAIN, NUM_TEST = 60, 20
TRAIN_SEED = 0


def run(*, out: Path = Path("out/eusdaf-demo")) -> int:
    """Train and segment synthetic patients; no input needed, minutes on two CPU cores.

    Args:
      out: gets phantoms, runs, predictions, metrics.json and report.html; must be new or empty.

    Returns:
      0 if every held-out picture could be segmented.
    """
    cfg = RECIPES[NETWORK]
    return demo(
        Demo(
            phantoms=_write_both,
            prepare=lambda known, cache: prepare([known], cache, cfg.prepare),
            recipes={NETWORK: cfg},
            train=train,
            predict=lambda new, runs, pred: segment(
                [new / "images"], [runs / NETWORK], pred, probabilities=True
            ),
            evaluate=evaluate,
        ),
        out,
    )


def _write_both(known: Path, new: Path) -> None:
    write_image_cohort(known, num_patients=NUM_TRAIN, seed=TRAIN_SEED)
    write_image_cohort(new, num_patients=NUM_TEST, seed=TEST_SEED)


@cli.user_values()
def write_pictures(
    out: cli.OnePath,
    *,
    num_cases: int,
    seed: int = 0,
    num_frames: int = 2,
    tumor_fraction: float = 0.85,
    kind: Literal["png", "dicom"] = "png",
) -> None:
    """Write a synthetic cohort in the layout that `train` reads: images, masks and a table.

    Args:
      out: new folder.
      num_cases: patients.
      seed: of the cohort; another seed, other patients.
      num_frames: pictures of each patient.
      tumor_fraction: share of the patients with a tumor.
      kind: of the pictures.
    """
    write_image_cohort(
        out,
        num_patients=num_cases,
        seed=seed,
        num_frames=num_frames,
        tumor_fraction=tumor_fraction,
        kind=kind,
    )
