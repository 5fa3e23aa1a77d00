"""Prepared cases with a tumor and a status, and recipes as small as they can be."""

from dataclasses import replace

from core.train.config import RunConfig
from lnmet.data import Prepared
from lnmet.labels import PDAC
from lnmet.recipes import RECIPES
from lnmet.status.config import StatusConfig
from lnmet.status.pictures import tumor_of
from tests.lnmet.phantoms import prepared
from tests.lnmet.tiny import SPACING_MM


def case_of(name: str, *, status: bool | None = None, seed: int = 0, shape=(30, 40, 50)):
    """A scan whose voxels are all different, with the tumor of its label."""
    case = prepared(name, shape=shape, seed=seed)
    tumor = tumor_of(case.image[...], case.label[...] == PDAC)
    return case._replace(tumor=tumor, status=status)


def cases_of(statuses: str) -> list[Prepared]:
    """A case for each letter: "+" is positive, "-" negative, "?" not known."""
    known = {"+": True, "-": False, "?": None}
    return [
        case_of(f"{number}", status=known[letter], seed=number)
        for number, letter in enumerate(statuses)
    ]


def tiny_status(recipe: str = "tiny-status", *, steps: int = 2) -> StatusConfig:
    """A recipe for phantoms of 8 mm, of few channels and small pictures."""
    cfg = RECIPES[recipe]
    assert isinstance(cfg, StatusConfig)
    return replace(
        cfg,
        run=RunConfig(steps=steps, log_every=1, checkpoint_every=1),
        prepare=replace(cfg.prepare, spacing_mm=(SPACING_MM,) * 3),
        data=replace(cfg.data, size=16, box=(4, 16, 16), batch=8),
        model=replace(cfg.model, width=2),
        split=replace(cfg.split, num_folds=2, val_fraction=0.4),
    )
