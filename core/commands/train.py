"""Training one network into a run folder, on one host or several."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
from jax.experimental.multihost_utils import sync_global_devices

from core import atomic, sharding
from core.data.index import Index, prescribed_folds, read_index
from core.data.index import cases_of as cases_of_index
from core.data.parts import Parts
from core.data.splits import Split, cases_of, k_fold
from core.errors import InputError
from core.lock import only_writer
from core.preprocess.appearance import OWN_GRID, Appearance, Axes, seen_in
from core.train.config import RunConfig
from core.train.fit import fit
from core.train.run_folder import PARTS, Division, finish_run, open_run, record_division
from core.train.task import Task

logger = logging.getLogger(__name__)

T = TypeVar("T")

PRESCRIBED = "the data sets' own split"
"""Of splits_final.json, or of the folders or the table of a public data set."""


class Training(NamedTuple):
    """What a paper makes of a recipe and its cases.

    Args:
      task: what `fit` trains.
      run: its length in steps, and its rhythm.
      batch: examples per step, over all devices.
      patience: evaluations without progress after which it ends; 0 never ends it early.
    """

    task: Task
    run: RunConfig
    batch: int
    patience: int = 0


def train(
    cfg: Any,
    out: Path,
    *,
    divide: Callable[[], tuple[Division, Callable[[], Training]]],
    curves: Sequence[str],
    resume: bool = False,
    distributed: bool = False,
    fsdp: bool = False,
    space: int = 1,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Open a run folder, train into it, and write manifest and curves.

    Args:
      cfg: the recipe, written to RUN/config.json.
      out: run folder.
      divide: loads the cases → who is learned from, and a function that makes the training.
      curves: logged values to draw.
      resume: continue the run in `out`.
      distributed: join the other hosts first.
      fsdp: cut the state over the devices.
      space: devices that share an image.
      notes: entries of the manifest beside its own.

    Raises:
      InputError: data, fold or run folder cannot be used, or another run writes there.
      RunError: the loss is no longer finite.
    """
    if distributed:
        sharding.distributed()
    # Hosts of one training write together; the first one holds the folder for all.
    with only_writer(out) if jax.process_index() == 0 else nullcontext():
        if jax.process_index() == 0:
            atomic.remove_leftovers(out)
        open_run(out, cfg, resume=resume)
        division, training_of = _first_host_first(divide)
        record_division(out, division)
        training = training_of()
        mesh = sharding.mesh_of_batch(training.batch, space=space)
        fit(
            training.task,
            training.run,
            mesh=mesh,
            workdir=out,
            resume=resume,
            patience=training.patience,
            state_rule=sharding.fsdp if fsdp else sharding.replicated,
            batch_rule=sharding.spatial if space > 1 else sharding.split_batch,
        )
        finish_run(cfg, mesh, out, curves=curves, more=notes)


def divide_by_fold(
    folder: Path,
    cases: Sequence[Any],
    fold: int | None,
    own: Callable[[Sequence[Any]], Sequence[Split]],
    make: Callable[[list[Any], list[Any]], Training],
    *,
    grid_mm: Axes | None = None,
) -> tuple[Division, Callable[[], Training]]:
    """What `train` wants of a paper that learns from all cases, or from those outside a fold.

    Args:
      folder: cache with its index.
      cases: of it, each with `id`, `patient` and `digest`.
      fold: that is held out, from 0; None for none.
      own: cases → the paper's splits of their ids.
      make: (cases to learn from, cases held out) → the training.
      grid_mm: spacing to which scans are resampled; None where they keep their own.

    Raises:
      InputError: no such fold.
    """
    by_id = {case.id: case for case in cases}
    parts = choose_fold(folder, fold, by_id, lambda: own(cases))
    train_on, held_out = ([by_id[id_] for id_ in ids] for ids in (parts.train, parts.test))
    who = division(folder, parts, cases, lambda case: [case.id], fold, grid_mm=grid_mm)
    return who, lambda: make(train_on, held_out)


def division(
    folder: Path,
    parts: Parts,
    cases: Iterable[Any],
    part_names: Callable[[Any], Iterable[str]],
    fold: int | None,
    *,
    grid_mm: Axes | None = None,
) -> Division:
    """Record of who is learned from, and of what their scans are like.

    Args:
      folder: cache with its index.
      parts: names in three parts.
      cases: prepared cases, each with `id`, `patient` and `digest`.
      part_names: case → the names in `parts` that stand for it.
      fold: of a cross-validation; None where there is none.
      grid_mm: spacing to which scans are resampled; None where they keep their own.
    """
    entries = cases_of_index(read_index(folder))
    of_name = {name: part for part in PARTS for name in getattr(parts, part)}
    images: dict[str, str] = {}
    patients: dict[str, str] = defaultdict(lambda: PARTS[0])
    scans: list[Appearance] = []
    for case in cases:
        parts_of_case = [of_name[name] for name in part_names(case) if name in of_name]
        if parts_of_case:
            part = max(parts_of_case, key=PARTS.index)
            images[case.digest] = part
            patients[case.patient] = max(part, patients[case.patient], key=PARTS.index)
            scans += entries[case.id].scans if part == "train" else ()
    seen = seen_in(scans, grid_mm or OWN_GRID)
    return Division(fold, *parts, images=images, patients=dict(patients), scans=seen)


def patient_folds(cases: Iterable[Any], num_folds: int, seed: int) -> list[Split]:
    """Splits of case ids whose test parts hold every patient once.

    Args:
      cases: prepared cases, each with `id` and `patient`.
      num_folds: of the cross-validation.
      seed: another seed, another shuffle.

    Raises:
      InputError: fewer patients than folds.
    """
    patient_of = {case.id: case.patient for case in cases}
    try:
        splits = k_fold(patient_of.values(), num_folds, seed)
    except ValueError as error:
        raise InputError(
            str(error), hint="set --split.num-folds, or train without --fold"
        ) from None
    return [cases_of(split, patient_of) for split in splits]


def choose_fold(
    folder: Path, fold: int | None, names: Iterable[str], own: Callable[[], Sequence[Split]]
) -> Parts:
    """Cases to learn from and cases held out.

    Folds that the data set prescribes (splits_final.json, or a test part) come before the paper's
    own; without a fold every case is learned from.

    Args:
      folder: cache with its index.
      fold: which split, from 0; None for none.
      names: all cases.
      own: makes the paper's splits; not called where the data set prescribes some.

    Raises:
      InputError: no such fold.
    """
    if fold is None:
        return Parts(tuple(sorted(names)), (), ())
    splits, source = splits_of(folder, own)
    if not 0 <= fold < len(splits):
        raise InputError(f"fold {fold} does not exist; {source} has {len(splits)}, from 0")
    train, test = splits[fold].train, splits[fold].test
    logger.info(
        "fold %d of %s: %d cases to learn from, %d held out", fold, source, len(train), len(test)
    )
    return Parts(train, (), test)


def splits_of(folder: Path, own: Callable[[], Sequence[Split]]) -> tuple[Sequence[Split], str]:
    """Splits that the data sets of a cache prescribe, or else the paper's; and whose they are.

    Args:
      folder: cache with its index.
      own: makes the paper's splits.
    """
    index = read_index(folder)
    if prescribed := prescribed_folds(index):
        _warn_of_patients_on_both_sides(prescribed, index)
        return prescribed, PRESCRIBED
    if any(part.folds for part in index.values()):
        logger.warning("%s is not used: it does not cover every case of the cache", PRESCRIBED)
    return own(), "the recipe's split"


def _warn_of_patients_on_both_sides(splits: Sequence[Split], index: Index) -> None:
    patient_of = {id_: entry.patient for id_, entry in cases_of_index(index).items()}
    for number, split in enumerate(splits):
        train, test = ({patient_of[id_] for id_ in side} for side in (split.train, split.test))
        if both := train & test:
            logger.warning(
                "fold %d of %s has %d patients on both sides: what is measured on them is no "
                "estimate for new patients",
                number,
                PRESCRIBED,
                len(both),
            )


def _first_host_first(load: Callable[[], T]) -> T:
    """Let the first host prepare a shared cache before the others read it."""
    if jax.process_count() == 1:
        return load()
    loaded = load() if jax.process_index() == 0 else None
    sync_global_devices("prepared")
    return load() if loaded is None else loaded
