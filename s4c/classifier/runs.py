"""The runs of classifiers in a call, each beside the coarse run that it learned from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.datasets.channels import Phase
from core.errors import InputError
from core.infer.load import Run, load_runs, require_same_division
from s4c.classifier.coarse import coarse_of, read_coarse
from s4c.classifier.config import SECTION, ClassifierConfig
from s4c.config import Config

Runs = dict[Phase | None, Run[ClassifierConfig]]
"""By the contrast phase of the coarse network."""


def open_classifiers(
    paths: Sequence[Path],
    coarse: Mapping[Phase | None, Sequence[Run[Config]]],
    choices: Mapping[str, Any],
    *,
    allow_unfinished: bool,
) -> Runs:
    """Runs of classifiers.

    Args:
      paths: their folders; none, no classifier.
      coarse: the other runs of the call, by phase.
      choices: operating choices of the call.
      allow_unfinished: also take runs that have not reached their end.

    Raises:
      InputError: a classifier without its coarse run, or with others beside that; two of one phase,
        or none of another; or choices for a classifier where there is none.
    """
    own = [name for name in choices if is_own_choice(name)]
    if own and not paths:
        raise InputError(f"--{own[0].replace('_', '-')} is for classifiers, and no run is one")
    alone: dict[Phase | None, Run[Config]] = {
        phase: runs[0] for phase, runs in coarse.items() if len(runs) == 1
    }
    found: Runs = {}
    for run in load_runs(ClassifierConfig, paths, allow_unfinished=allow_unfinished):
        phase = _phase_of(run, alone)
        if other := found.get(phase):
            raise InputError(
                f"and {other.path} learned from one run", path=run.path, hint="give one"
            )
        both: list[Run[Any]] = [alone[phase], run]
        require_same_division(both)
        found[phase] = run
    if found and (absent := [runs[0] for phase, runs in coarse.items() if phase not in found]):
        raise InputError("has no classifier, and the other phase has one", path=absent[0].path)
    return found


def is_own_choice(name: str) -> bool:
    """Whether an operating choice, "section.field", is a classifier's."""
    return name.startswith(f"{SECTION}.")


def _phase_of(
    run: Run[ClassifierConfig], coarse: Mapping[Phase | None, Run[Config]]
) -> Phase | None:
    """Phase of the coarse run with the weights that a classifier learned from."""
    known = read_coarse(run.path)
    for phase, other in coarse.items():
        if coarse_of(other).weights == known.weights:
            return phase
    raise InputError(
        "answers beside the one run whose features it learned from",
        path=run.path,
        hint=f"give --run {known.path} beside it",
    )
