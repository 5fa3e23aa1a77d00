"""The whole of EUSDAF on synthetic patients: phantoms, training, segmentation, evaluation."""

import logging
import time
from pathlib import Path

from core.errors import InputError
from core.phantom.ultrasound.cohort import write_image_cohort
from core.report.table import to_text
from eusdaf.config import RECIPES
from eusdaf.evaluate import evaluate
from eusdaf.evaluation_page import table_2
from eusdaf.infer import segment
from eusdaf.train import train

logger = logging.getLogger(__name__)

NUM_TRAIN, NUM_TEST = 60, 20
TRAIN_SEED, TEST_SEED = 0, 1


def run(out: Path) -> int:
    """Do it all in `out`, and print the paper's Table 2 with our row.

    Returns:
      0 if every held-out picture could be segmented.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError("is not empty", path=out, hint="choose another --out or remove it")
    start = time.perf_counter()
    known, new = out / "phantoms" / "train", out / "phantoms" / "test"
    logger.info("drawing %d + %d patients", NUM_TRAIN, NUM_TEST)
    write_image_cohort(known, num_patients=NUM_TRAIN, seed=TRAIN_SEED)
    write_image_cohort(new, num_patients=NUM_TEST, seed=TEST_SEED)
    train(RECIPES["tiny"], known, out / "run")
    pred = out / "segmentation"
    status = segment([new / "images"], [out / "run"], pred, probabilities=True)
    metrics = evaluate([pred], new, out)
    print(to_text(table_2(metrics)), end="")
    minutes = (time.perf_counter() - start) / 60
    print(f"{out / 'report.html'} written after {minutes:.1f} minutes")
    return status
