"""Data sets of other hospitals, asked of the runs of every fold (Sec. IV-F)."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from core.commands.steps import Step
from core.commands.study import Ended
from lnmet.prepare import cache_name
from lnmet.study.answers import FILE, SEGMENTED, of_data, write_answers
from lnmet.study.plan import Plan, prepare_all
from lnmet.study.signatures import RADIOMICS
from lnmet.study.steps import ANSWERS, segment_by


def names_of(external: Sequence[Path]) -> dict[str, Path]:
    """Data sets by a name that comes once."""
    return {f"{number}_{path.name}": path for number, path in enumerate(external, start=1)}


def external_steps(plan: Plan, external: Sequence[Path], folds: Sequence[Ended]) -> list[Step]:
    """Preparation of each data set; and for each fold its segmentations and answers.

    Args:
      plan: the study.
      external: data sets with a mask of the tumor and a status of each patient.
      folds: done.
    """
    steps = []
    for name, data in names_of(external).items():
        inputs = str(data.resolve())
        prepared = f"{name}-prepared"
        steps.append(Step(prepared, partial(_prepare, plan, data), inputs=inputs))
        for number, fold in enumerate(folds):
            own = {rule: f"{name}-fold_{number}-{step}" for rule, step in SEGMENTED.items()}
            asked = [rule for rule in own if fold.of(SEGMENTED[rule]) is not None]
            for rule in asked:
                work = partial(_segment, plan, rule, data, fold)
                steps.append(Step(own[rule], work, inputs=inputs))
            segmented = {rule: own[rule] for rule in asked}
            steps.append(
                Step(
                    answers_of(name, number),
                    partial(_answer, plan, prepared, segmented, fold),
                    [prepared],
                    list(segmented.values()),
                )
            )
    return steps


def answers_of(name: str, fold: int) -> str:
    """Step with a fold's answers about a data set."""
    return f"{name}-fold_{fold}-{ANSWERS}"


def _prepare(plan: Plan, data: Path, folder: Path) -> None:
    prepare_all([data], plan.cfgs, folder, organs=plan.organs, label_map=plan.label_map)


def _segment(plan: Plan, rule: str, data: Path, fold: Ended, folder: Path) -> None:
    segment_by(plan, rule, [data], fold.path, folder)


def _answer(
    plan: Plan, prepared: str, segmented: Mapping[str, str], fold: Ended, folder: Path
) -> None:
    beside = folder.parent
    cases = beside / prepared / "prepared" / cache_name(plan.cfgs["status"].prepare)
    of_rule = {rule: beside / name for rule, name in segmented.items()}
    chosen = fold.path / ANSWERS / FILE
    write_answers(
        plan,
        of_data(cases, beside / prepared / RADIOMICS),
        fold.path,
        of_rule,
        folder,
        chosen=chosen,
    )
