"""The whole of EUSDAF on synthetic patients: phantoms, training, segmentation, evaluation."""

from pathlib import Path

from core.commands.demo import TEST_SEED, Demo, demo
from core.phantom.ultrasound.cohort import write_image_cohort
from core.report.table import Table
from eusdaf.config import RECIPES
from eusdaf.evaluate import evaluate
from eusdaf.evaluation_page import table_2
from eusdaf.infer import segment
from eusdaf.prepare import prepare
from eusdaf.train import train

NETWORK = "tiny"
NUM_TRAIN, NUM_TEST = 60, 20
TRAIN_SEED = 0


def run(out: Path) -> int:
    """Do it all in `out`, and print the paper's Table 2 with our row.

    Returns:
      0 if every held-out picture could be segmented.
    """
    cfg = RECIPES[NETWORK]
    return demo(
        Demo(
            phantoms=_write_both,
            prepare=lambda known, cache: prepare([known], cache, cfg.prepare),
            trainings={NETWORK: lambda cache, workdir: train(cfg, [cache], workdir)},
            predict=lambda new, runs, pred: segment(
                [new / "images"], [runs / NETWORK], pred, probabilities=True
            ),
            evaluate=_evaluated,
        ),
        out,
    )


def _write_both(known: Path, new: Path) -> None:
    write_image_cohort(known, num_patients=NUM_TRAIN, seed=TRAIN_SEED)
    write_image_cohort(new, num_patients=NUM_TEST, seed=TEST_SEED)


def _evaluated(pred: Path, truth: Path, out: Path) -> Table:
    return table_2(evaluate([pred], [truth], out))
