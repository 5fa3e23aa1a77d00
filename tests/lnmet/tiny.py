"""Networks and data sets as small as they can be, for tests of whole commands."""

from dataclasses import replace
from pathlib import Path

from core.train.config import RunConfig
from lnmet.config import RECIPES, Config, PrepareConfig
from lnmet.demo import write_phantoms

SPACING_MM = 8.0


def tiny(recipe: str, *, steps: int = 2) -> Config:
    """A recipe for phantoms of 8 mm, of two channels a stage."""
    cfg = RECIPES[recipe]
    return replace(
        cfg,
        run=RunConfig(steps=steps, log_every=1, checkpoint_every=1),
        prepare=PrepareConfig(spacing_mm=(SPACING_MM,) * 3),
        data=replace(cfg.data, patch=(16, 16, 16), batch=2),
        model=replace(cfg.model, features=(2, 2, 2, 2)),
        split=replace(cfg.split, num_folds=2),
    )


def phantoms(out: Path, *, num_cases: int = 2, seed: int = 0, breath_mm: float = 0.0) -> Path:
    """A labelled data set of two phases, each patient with a tumor."""
    write_phantoms(out, num_cases=num_cases, seed=seed, spacing_mm=SPACING_MM, breath_mm=breath_mm)
    return out
