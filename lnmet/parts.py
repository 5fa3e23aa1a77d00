"""Who is learned from, who chooses the weights, and who is held out: alike for all networks."""

from collections.abc import Collection, Sequence
from pathlib import Path

from core.commands import train as training
from core.data.parts import Parts
from core.data.parts import with_validation as with_validation_of_patients
from core.data.splits import Split, cases_of, stratified_k_fold
from core.errors import InputError
from lnmet.config import SplitConfig
from lnmet.data import Prepared
from lnmet.prepare import open_cases


def parts_of(folder: Path, usable: Collection[str], fold: int | None, cfg: SplitConfig) -> Parts:
    """Cases to learn from, to validate on and to hold out (Sec. IV-A).

    The cache is divided as a whole, whatever cases of it a network can use: what one network of a
    fold holds out, no other has learned from.

    Args:
      folder: of the prepared cases, whose index may prescribe folds.
      usable: ids of the cases that can be learned from.
      fold: that is held out; None, every case is learned from.
      cfg: of the folds where none are prescribed, and of the validation.

    Raises:
      InputError: no such fold, or none of its training cases is usable.
    """
    cases = open_cases(folder)
    ids = [case.id for case in cases]
    parts = training.choose_fold(folder, fold, ids, lambda: folds(cases, cfg))
    if fold is not None:
        parts = with_validation(parts, cases, cfg)
    chosen = Parts(*(tuple(id_ for id_ in part if id_ in usable) for part in parts))
    if not chosen.train:
        raise InputError(f"fold {fold} has no case to learn from", hint="take another --fold")
    return chosen


def folds(cases: Sequence[Prepared], cfg: SplitConfig) -> list[Split]:
    """Splits of the case ids by patient, each of whom is held out once; every status alike.

    Raises:
      InputError: fewer patients than folds.
    """
    try:
        splits = stratified_k_fold(_classes(cases), cfg.num_folds, cfg.seed)
    except ValueError as error:
        raise InputError(
            str(error), hint="set --split.num-folds, or train without --fold"
        ) from None
    patient_of = {case.id: case.patient for case in cases}
    return [cases_of(split, patient_of) for split in splits]


def with_validation(parts: Parts, cases: Sequence[Prepared], cfg: SplitConfig) -> Parts:
    """Parts with a share of the training patients set aside for validation, every status alike."""
    patient_of = {case.id: case.patient for case in cases}
    train = Split(tuple({patient_of[id_] for id_ in parts.train}), ())
    aside = set(with_validation_of_patients(train, _classes(cases), cfg.val_fraction, cfg.seed).val)
    val = tuple(id_ for id_ in parts.train if patient_of[id_] in aside)
    return Parts(tuple(id_ for id_ in parts.train if id_ not in val), val, parts.test)


def _classes(cases: Sequence[Prepared]) -> dict[str, str]:
    """Patient → status, as far as it is known."""
    return {case.patient: str(case.status) for case in cases}
