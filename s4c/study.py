"""The cross-validations of both papers: networks of all folds, and tables of what they hold out."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from core import cli
from core.commands import study as studies
from core.commands.steps import Step
from core.commands.study import Ended, Study
from core.commands.study_inputs import choose_recipes, describe, describe_cases, prepared
from core.commands.train import splits_of
from core.errors import InputError
from s4c.classifier.config import RECIPES as CLASSIFIERS
from s4c.classifier.config import ClassifierConfig
from s4c.config import Config
from s4c.evaluate import evaluate
from s4c.infer import screen
from s4c.prepare import find_cache, folds, open_cases
from s4c.recipes import SEGMENTATION
from s4c.study_plan import Plan, of_phases, of_scales
from s4c.train import train

PAPERS: Mapping[str, tuple[str, ...]] = {
    "pdac": ("pdac-64", "pdac-32", "pdac-16"),
    "pnet": (
        *("pnet-venous", "pnet-arterial", "pnet-venous-unet3d", "pnet-arterial-unet3d"),
        *("pnet-venous-vnet", "pnet-arterial-vnet", "classifier"),
    ),
}
"""Recipes of each paper's tables."""


def study(
    paper: cli.Word[Literal["pdac", "pnet"]],
    data: cli.Data,
    out: Path,
    *,
    recipes: cli.RecipeNames = (),
    cache: Path | None = None,
    fold: int | None = None,
    merge: bool = False,
    workers: int = 0,
    labels: str | None = None,
    choices: Annotated[cli.Choices, cli.Overrides.of_recipes(Config)] = None,
) -> int:
    """Cross-validate a paper's networks: train and screen every fold, then its tables of all folds.

    Of the PDAC paper a cascade and each of its networks; of the PNET paper each network in both
    phases. With a classifier's recipe among them, also that one, on features of the first network.

    What a call that was killed has not done, the same call does. Folds may be done by jobs of their
    own, with --fold, and merged at the end, with --merge.

    Args:
      paper: whose cross-validation.
      data: data sets, as of `prepare`.
      out: gets study.json, fold_K/ and merged/ with metrics.json and report.html.
      recipes: networks; without, those of the paper.
      cache: what `prepare` wrote of the data sets, for each phase; without, they are prepared into
        OUT first.
      fold: do this fold alone, the first is 0.
      merge: only merge the folds that are done.
      workers: processes that cut patches, where threads starve the device; 0 for threads.
      labels: what label names mean, as of `prepare`; a cache must have been told the same.
      choices: override every recipe's, but a classifier's.

    Returns:
      1 if some scan could not be screened, else 0.

    Raises:
      InputError: recipes that make no study, data that cannot be used, a folder of another study,
        or folds to merge that are not complete.
    """
    plan = _plan(paper, recipes or PAPERS[paper], choices or {})
    first = next(iter(plan.cfgs.values()))
    options = {} if labels is None else {"labels": labels}
    described = describe(data, {**plan.cfgs, **plan.classifiers}, options)

    def find(paths: Sequence[Path], workdir: Path) -> Path:
        preparations = dict.fromkeys(cfg.prepare for cfg in plan.cfgs.values())
        of_each = [find_cache(paths, own, workdir, labels=labels or "") for own in preparations]
        return of_each[0]

    folder = prepared(out, data, described, cache, find, one_fold=fold is not None)
    cases = open_cases(folder)
    splits, _ = splits_of(folder, lambda: folds(cases, first.split))
    cross_validation = Study(
        {**described, **describe_cases(cases)},
        len(splits),
        lambda number: _steps(plan, data, folder.parent, number, workers, labels),
        partial(_tables, plan, data, labels),
    )
    return studies.run(cross_validation, out, fold=fold, merge=merge)


def _plan(paper: str, names: Sequence[str], choices: Mapping[str, Any]) -> Plan:
    classifiers = {name: CLASSIFIERS[name] for name in names if name in CLASSIFIERS}
    segmenting = [name for name in names if name not in classifiers]
    if not segmenting or len(classifiers) > 1:
        raise InputError(
            f"recipes {', '.join(names)} make no study",
            hint="give networks that segment, and one classifier at most",
        )
    if paper == "pdac":
        return of_scales(choose_recipes(SEGMENTATION, segmenting, choices), classifiers)
    # Phases share patients, and each has a cache of its own.
    cfgs = choose_recipes(SEGMENTATION, segmenting, choices, same=("split",))
    return of_phases(cfgs, classifiers)


def _steps(
    plan: Plan, data: Sequence[Path], cache: Path, fold: int, workers: int, labels: str | None
) -> list[Step]:
    def training(cfg: Config, folder: Path) -> None:
        train(cfg, [cache], folder, fold=fold, workers=workers, resume=True)

    def classifying(cfg: ClassifierConfig, coarse: str, folder: Path) -> None:
        on = folder.parent / coarse
        train(cfg, [cache], folder, fold=fold, coarse=on, workers=workers, resume=True)

    def screening(runs: Sequence[str], alone: bool, folder: Path) -> None:
        paths = [folder.parent / name for name in runs]
        screen(data, runs=paths, out=folder, held_out=True, labels=labels, alone=alone)

    return [
        *(Step(name, partial(training, cfg)) for name, cfg in plan.cfgs.items()),
        *(
            Step(name, partial(classifying, plan.classifier, coarse), (coarse,))
            for name, coarse in plan.on.items()
        ),
        *(
            Step(name, partial(screening, row.runs, row.alone), row.runs)
            for name, row in plan.screenings.items()
        ),
    ]


def _tables(
    plan: Plan,
    data: Sequence[Path],
    labels: str | None,
    folds: Sequence[Ended],
    external: Ended,
    folder: Path,
) -> None:
    outputs = [fold.of(name) for name in plan.screenings for fold in folds]
    evaluate([path for path in outputs if path is not None], data, folder, labels=labels)
