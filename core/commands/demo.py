"""The whole of a paper on synthetic patients: phantoms, trainings, its job, evaluation."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import InputError

logger = logging.getLogger(__name__)

TEST_SEED = 101
"""Of the patients that are judged on: no recipe of any paper was chosen on them."""


class Demo(NamedTuple):
    """Steps of a demo.

    Args:
      phantoms: folder of patients to learn from, and of new ones → writes both.
      prepare: (patients, cache) → prepares them.
      recipes: by name of the run.
      train: (recipe, [cache], run folder) → trains it.
      predict: (new patients, folder of the runs, output) → exit status.
      evaluate: (outputs, data sets of the new patients, demo folder) → prints the paper's table.
    """

    phantoms: Callable[[Path, Path], None]
    prepare: Callable[[Path, Path], object]
    recipes: Mapping[str, Any]
    train: Callable[[Any, Sequence[Path], Path], object]
    predict: Callable[[Path, Path, Path], int]
    evaluate: Callable[[Sequence[Path], Sequence[Path], Path], object]


def demo(paper: Demo, out: Path) -> int:
    """Do it all in `out`, and print the paper's figures beside ours.

    Args:
      paper: its steps.
      out: new or empty folder.

    Returns:
      0 if every held-out patient has a result.

    Raises:
      InputError: the folder holds something.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError("is not empty", path=out, hint="choose another --out or remove it")
    start = time.perf_counter()
    known, new, cache = out / "phantoms" / "train", out / "phantoms" / "test", out / "prepared"
    logger.info("drawing synthetic patients")
    paper.phantoms(known, new)
    paper.prepare(known, cache)
    logger.info("training %s", ", ".join(paper.recipes))
    # Side by side: one compiles, or waits for a part that only one core can do, while another runs.
    with ThreadPoolExecutor(len(paper.recipes)) as pool:
        runs = [
            pool.submit(paper.train, recipe, [cache], out / "runs" / name)
            for name, recipe in paper.recipes.items()
        ]
        for run in runs:
            run.result()
    status = paper.predict(new, out / "runs", out / "predictions")
    paper.evaluate([out / "predictions"], [new], out)
    minutes = (time.perf_counter() - start) / 60
    print(f"{out / 'report.html'} written after {minutes:.1f} minutes")
    return status
