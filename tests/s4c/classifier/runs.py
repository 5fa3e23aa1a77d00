"""A coarse run with random weights on a small cache, and a classifier that is built on it."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from core.commands import train as training
from core.train.config import RunConfig
from s4c.classifier.config import RECIPES as CLASSIFIERS
from s4c.classifier.config import ModelConfig
from s4c.config import Config, SplitConfig
from s4c.demo import write_phantoms
from s4c.prepare import find_cache, folds, open_cases
from s4c.train import train
from tests.s4c.test_networks import FINE, write_run

FOLD = 1
COARSE = replace(FINE, split=SplitConfig(num_folds=3, normal_train=0.6))
OTHER_NETWORK = replace(COARSE, model=replace(COARSE.model, convs_step1=1))
TINY = replace(
    CLASSIFIERS["tiny-classifier"],
    run=RunConfig(steps=3, log_every=1, checkpoint_every=1),
    model=ModelConfig(width=4, groups=2),
)


class Runs(NamedTuple):
    """Folders."""

    data: Path
    cache: Path
    coarse: Path
    classifier: Path


def coarse_run(cache: Path, out: Path, fold: int | None, cfg: Config = COARSE) -> Path:
    """As training leaves it, with random weights."""
    folder = find_cache([cache], cfg.prepare, out)
    own = partial(folds, cfg=cfg.split)
    divided = training.divide_by_fold(folder, open_cases(folder), fold, own, pytest.fail)
    return write_run(out, cfg, divided[0])


def make_runs(root: Path) -> Runs:
    """Six patients, three of them with a tumor; one fold is held out."""
    made = Runs(*(root / name for name in ("data", "prepared", "coarse", "classifier")))
    write_phantoms(made.data, num_cases=6, seed=0, spacing_mm=8.0)
    find_cache([made.data], COARSE.prepare, root)
    coarse_run(made.cache, made.coarse, FOLD)
    train(TINY, [made.cache], made.classifier, coarse=made.coarse)
    return made
