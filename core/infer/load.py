"""Finished runs as they are asked: their configs and weights, and whether they belong together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from core import config
from core.errors import InputError
from core.train.checkpoint import checkpoint_steps, restore_model
from core.train.run_folder import (
    Division,
    is_finished,
    load_config,
    read_division,
    weights_folder,
)
from core.types import ModelState, Params

C = TypeVar("C")


@dataclass(frozen=True)
class Run(Generic[C]):
    """A trained network on disk.

    Args:
      path: run folder.
      cfg: its config.
      step: of the weights that are used.
      division: who it learned from.
    """

    path: Path
    cfg: C
    step: int
    division: Division

    def weights(self) -> tuple[Params, ModelState]:
        """Parameters and model state, as NumPy arrays."""
        return restore_model(weights_folder(self.path))

    def provenance(self) -> dict[str, Any]:
        """Its line in results.json."""
        return {
            "path": str(self.path),
            "step": self.step,
            "fingerprint": config.fingerprint(self.cfg),
            "fold": self.division.fold,
        }


def load_runs(cls: type[C], paths: Sequence[Path], *, allow_unfinished: bool) -> list[Run[C]]:
    """Runs of a config class, in the order given.

    Args:
      cls: the paper's config.
      paths: run folders.
      allow_unfinished: also take runs that have not reached their end.

    Raises:
      InputError: a folder that is no run, an unfinished run, or one without a checkpoint.
    """
    runs = []
    for path in paths:
        cfg = load_config(cls, path)
        steps = checkpoint_steps(weights_folder(path))
        if not steps:
            raise InputError("holds no complete checkpoint", path=path, hint="train first")
        if not (is_finished(path) or allow_unfinished):
            raise InputError(
                f"is not finished: its newest checkpoint is of step {max(steps)}",
                path=path,
                hint="go on with train --resume, or say --allow-unfinished",
            )
        runs.append(Run(path, cfg, max(steps), read_division(path)))
    return runs


def require_same(
    runs: Sequence[Run[C]], value: Callable[[C], Any], text: Callable[[C], str]
) -> None:
    """Refuse runs whose configs differ in a value.

    Args:
      runs: at least one.
      value: config → what must be equal.
      text: config → how it is written: "was trained on …".
    """
    first = runs[0]
    for run in runs[1:]:
        if value(run.cfg) != value(first.cfg):
            raise InputError(
                f"was trained on {text(run.cfg)}, {first.path} on {text(first.cfg)}",
                path=run.path,
                hint="give runs that belong together",
            )


HINT = "give networks of one fold and one data set"


def require_same_division(runs: Sequence[Run[C]]) -> None:
    """Refuse networks of one system that learned from different cases, or folds."""
    _require_one_fold(runs)
    first = runs[0]
    for run in runs[1:]:
        if run.division.who != first.division.who:
            reason = f"learned from other cases than {first.path}"
            raise InputError(reason, path=run.path, hint=HINT)


def require_same_patients(runs: Sequence[Run[C]]) -> None:
    """Refuse networks of different folds, or one that learned from a patient that another held out.

    Networks of two contrast phases learn from other images of the same patients.
    """
    _require_one_fold(runs)
    first, parts = runs[0], dict(runs[0].division.patients)
    for run in runs[1:]:
        own = run.division.patients
        for patient in sorted(own.keys() & parts.keys()):
            if own[patient] != parts[patient]:
                reason = f"has patient {patient} in its {own[patient]} part"
                hint = f"{first.path} has it in its {parts[patient]} part; {HINT}"
                raise InputError(reason, path=run.path, hint=hint)
        parts |= own


def _require_one_fold(runs: Sequence[Run[C]]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.division.fold != first.division.fold:
            reason = f"is of fold {run.division.fold}, {first.path} of fold {first.division.fold}"
            raise InputError(reason, path=run.path, hint=HINT)


def require_folds_of_one_data_set(runs: Sequence[Run[C]]) -> None:
    """Refuse an ensemble whose networks saw different data sets, or one fold twice."""
    first, folds = runs[0], set()
    for run in runs:
        if run.division.images.keys() != first.division.images.keys():
            reason = f"was trained on another data set than {first.path}"
            raise InputError(reason, path=run.path, hint="give runs of one data set")
        if run.division.fold is not None and run.division.fold in folds:
            reason = f"is a second network of fold {run.division.fold}"
            raise InputError(reason, path=run.path, hint="give each fold once")
        folds.add(run.division.fold)


def held_out(runs: Sequence[Run[C]]) -> tuple[str, ...]:
    """Cases that no run learned from or chose its weights by, and that some run held out.

    Networks of one system may have used fewer cases of the data set than others: not every case
    has a label of each. They must agree about the cases that they share.

    Raises:
      InputError: a run that trained on everything, or runs of different folds or data sets.
    """
    _require_one_fold(runs)
    first, parts = runs[0], dict(runs[0].division.images)
    for run in runs[1:]:
        own = run.division.images
        shared = own.keys() & parts.keys()
        if not shared or any(own[digest] != parts[digest] for digest in shared):
            reason = f"learned from other cases than {first.path}"
            raise InputError(reason, path=run.path, hint=HINT)
        parts |= own
    for run in runs:
        if not run.division.test:
            raise InputError(
                "held no cases out", path=run.path, hint="train with --fold, or with a test part"
            )
    learned = {name for run in runs for name in (*run.division.train, *run.division.val)}
    names = dict.fromkeys(name for run in runs for name in run.division.test)
    return tuple(name for name in names if name not in learned)
