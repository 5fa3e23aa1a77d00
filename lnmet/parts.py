"""Who is learned from, who chooses the weights, and who is held out: alike for all networks."""

from pathlib import Path

from core.commands import train as training
from core.data.splits import Parts, hard_split
from lnmet.config import SplitConfig
from lnmet.data import Prepared
from lnmet.prepare import folds


def parts_of(folder: Path, cases: dict[str, Prepared], fold: int | None, cfg: SplitConfig) -> Parts:
    """Cases to learn from, to validate on and to hold out.

    Args:
      folder: of the prepared cases, whose index may prescribe folds.
      cases: those that can be learned from, by id.
      fold: that is held out; None, every case is learned from.
      cfg: of the folds where none are prescribed, and of the validation.

    Raises:
      InputError: no such fold.
    """
    parts = training.choose_fold(folder, fold, cases, lambda: folds(list(cases.values()), cfg))
    return parts if fold is None else with_validation(parts, cases, cfg)


def with_validation(parts: Parts, cases: dict[str, Prepared], cfg: SplitConfig) -> Parts:
    """Parts with a share of the training patients set aside for validation (Sec. IV-A)."""
    patients = {cases[id_].patient for id_ in parts.train}
    num_val = min(round(cfg.val_fraction * len(patients)), len(patients) - 1)
    val = set(hard_split(patients, len(patients) - num_val, cfg.seed).test)
    aside = tuple(id_ for id_ in parts.train if cases[id_].patient in val)
    return Parts(tuple(i for i in parts.train if i not in aside), aside, parts.test)
