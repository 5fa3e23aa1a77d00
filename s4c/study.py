"""The cross-validation of the paper: cascades of all folds, and Table 1 of what they hold out."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

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
from s4c.train import train

PAPER = ("pdac-64", "pdac-32", "pdac-16")


class Networks(NamedTuple):
    """What a study trains, by the names of the recipes.

    Args:
      cascade: the largest patches first.
      classifiers: on the features of the first of these; one at most.
    """

    cascade: Mapping[str, Config]
    classifiers: Mapping[str, ClassifierConfig]


class Screening(NamedTuple):
    """A row of Table 1: the networks that are asked, and whether the last one answers alone."""

    recipes: tuple[str, ...]
    alone: bool = False


def study(
    data: cli.Data,
    out: Path,
    *,
    recipes: cli.RecipeNames = (),
    cache: Path | None = None,
    fold: int | None = None,
    merge: bool = False,
    labels: str | None = None,
    workers: int = 0,
    choices: Annotated[cli.Choices, cli.Overrides.of_recipes(Config)] = None,
) -> int:
    """Cross-validate a cascade: train and screen every fold, then Table 1 of all of them.

    With a classifier's recipe among them, also that one, on the features of the coarse network.

    What a call that was killed has not done, the same call does. Folds may be done by jobs of their
    own, with --fold, and merged at the end, with --merge.

    Args:
      data: data sets, as `prepare` reads them.
      out: gets study.json, fold_K/ and merged/ with metrics.json and report.html.
      recipes: networks of the cascade; without, those of the paper.
      cache: what `prepare` wrote of the data sets; without, they are prepared into OUT first.
      fold: do this fold alone, the first is 0.
      merge: only merge the folds that are done.
      labels: what label names mean, as of `prepare`; a cache must have been told the same.
      workers: processes that cut patches, where threads starve the device; 0 for threads.
      choices: override every recipe's, but a classifier's.

    Returns:
      1 if some scan could not be screened, else 0.

    Raises:
      InputError: recipes that make no cascade, data that cannot be used, a folder of another study,
        or folds to merge that are not complete.
    """
    networks = _networks(recipes or PAPER, choices or {})
    first = next(iter(networks.cascade.values()))
    options = {} if labels is None else {"labels": labels}
    described = describe(data, {**networks.cascade, **networks.classifiers}, options)

    def find(paths: Sequence[Path], workdir: Path) -> Path:
        return find_cache(paths, first.prepare, workdir, labels=labels or "")

    folder = prepared(out, data, described, cache, find, one_fold=fold is not None)
    cases = open_cases(folder)
    splits, _ = splits_of(folder, lambda: folds(cases, first.split))
    cross_validation = Study(
        {**described, **describe_cases(cases)},
        len(splits),
        lambda number: _steps(networks, data, folder.parent, number, workers, labels),
        partial(_tables, networks, data, labels),
    )
    return studies.run(cross_validation, out, fold=fold, merge=merge)


def _networks(names: Sequence[str], choices: Mapping[str, Any]) -> Networks:
    classifiers = [name for name in names if name in CLASSIFIERS]
    segmenting = [name for name in names if name not in classifiers]
    if not segmenting or len(classifiers) > 1:
        raise InputError(
            f"recipes {', '.join(names)} make no study",
            hint="give networks that segment, and one classifier at most",
        )
    return Networks(
        _cascade(choose_recipes(SEGMENTATION, segmenting, choices)),
        {name: CLASSIFIERS[name] for name in classifiers},
    )


def _cascade(cfgs: Mapping[str, Config]) -> dict[str, Config]:
    """Networks of different patch sizes, the largest first."""
    ordered = dict(sorted(cfgs.items(), key=lambda named: -named[1].data.patch))
    sizes = [cfg.data.patch for cfg in ordered.values()]
    if len(set(sizes)) < len(sizes):
        raise InputError(f"recipes {', '.join(ordered)} have patches of {sizes} voxels; one a size")
    return ordered


def _screenings(networks: Networks) -> dict[str, Screening]:
    """Rows of Table 1: the whole cascade, then each of its networks; and that of the classifier."""
    coarse, *fine = networks.cascade
    rows = {"screen": Screening((coarse, *fine))}
    if fine:
        rows[f"screen-{coarse}"] = Screening((coarse,))
        rows |= {f"screen-{name}": Screening((coarse, name), alone=True) for name in fine}
    return rows | {f"screen-{name}": Screening((coarse, name)) for name in networks.classifiers}


def _steps(
    networks: Networks,
    data: Sequence[Path],
    cache: Path,
    fold: int,
    workers: int,
    labels: str | None,
) -> list[Step]:
    coarse = next(iter(networks.cascade))

    def training(cfg: Config, folder: Path) -> None:
        train(cfg, [cache], folder, fold=fold, workers=workers, resume=True)

    def of_classifier(cfg: ClassifierConfig, folder: Path) -> None:
        on = folder.parent / coarse
        train(cfg, [cache], folder, fold=fold, coarse=on, workers=workers, resume=True)

    def screening(row: Screening, folder: Path) -> None:
        runs = [folder.parent / name for name in row.recipes]
        screen(data, runs=runs, out=folder, held_out=True, labels=labels, alone=row.alone)

    trainings = [Step(name, partial(training, cfg)) for name, cfg in networks.cascade.items()]
    for name, cfg in networks.classifiers.items():
        trainings.append(Step(name, partial(of_classifier, cfg), (coarse,)))
    rows = _screenings(networks).items()
    return trainings + [Step(name, partial(screening, row), row.recipes) for name, row in rows]


def _tables(
    networks: Networks,
    data: Sequence[Path],
    labels: str | None,
    folds: Sequence[Ended],
    external: Ended,
    folder: Path,
) -> None:
    outputs = [fold.of(name) for name in _screenings(networks) for fold in folds]
    evaluate([path for path in outputs if path is not None], data, folder, labels=labels)
