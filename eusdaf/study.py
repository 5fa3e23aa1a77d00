"""The cross-validation of the paper: every network in every fold, and Table 2 of all pictures."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from core import cli
from core.commands import study as studies
from core.commands.steps import Step
from core.commands.study import Ended, Study
from core.commands.study_inputs import choose_recipes, describe, describe_cases, prepared
from core.commands.train import splits_of
from core.datasets.images import read_images
from core.errors import InputError
from eusdaf.config import Config
from eusdaf.evaluate import evaluate
from eusdaf.infer import segment
from eusdaf.prepare import find_cache, folds, open_cases
from eusdaf.recipes import RECIPES
from eusdaf.train import train

PAPER = ("daf", "unet", "attention-unet")


def study(
    data: cli.Data,
    out: Path,
    *,
    recipes: cli.RecipeNames = (),
    cache: Path | None = None,
    external: cli.External = (),
    fold: int | None = None,
    merge: bool = False,
    workers: int = 0,
    encoder_weights: Path | None = None,
    choices: Annotated[cli.Choices, cli.Overrides.of_recipes(Config)] = None,
) -> int:
    """Cross-validate networks: train and segment every fold, then Table 2 of all of them.

    What a call that was killed has not done, the same call does. Folds may be done by jobs of their
    own, with --fold, and merged at the end, with --merge.

    Args:
      data: folders of pictures and masks.
      out: gets study.json, fold_K/ and merged/ with metrics.json and report.html.
      recipes: networks that are compared; without, those of the paper.
      cache: what `prepare` wrote of the data sets; without, they are prepared into OUT first.
      external: other annotated data sets, on which the networks of all folds are averaged; each has
        tables of its own in merged/external-N.
      fold: do this fold alone, the first is 0.
      merge: only merge the folds that are done.
      workers: processes that make batches, where threads starve the device; 0 for threads.
      encoder_weights: .safetensors or .pth of a ResNeXt trained on ImageNet, for DAF-Net.
      choices: override every recipe's.

    Returns:
      1 if some picture could not be segmented, else 0.

    Raises:
      InputError: two recipes of one network, data that cannot be used, a folder of another study,
        or folds to merge that are not complete.
    """
    cfgs = _networks(choose_recipes(RECIPES, recipes or PAPER, choices or {}))
    first = next(iter(cfgs.values()))
    described = describe(data, cfgs, {"encoder_weights": encoder_weights and encoder_weights.name})

    def find(paths: Sequence[Path], workdir: Path) -> Path:
        return find_cache(paths, first.prepare, workdir)

    folder = prepared(out, data, described, cache, find, one_fold=fold is not None)
    cases = open_cases(folder)
    splits, _ = splits_of(folder, lambda: folds(cases, first.split))

    def training(number: int, cfg: Config, run: Path) -> None:
        weights = encoder_weights if cfg.model.network == "daf" else None
        options = {"encoder_weights": weights, "workers": workers}
        train(cfg, [folder.parent], run, fold=number, resume=True, **options)

    cross_validation = Study(
        {**described, **describe_cases(cases)},
        len(splits),
        lambda number: _steps(cfgs, data, partial(training, number)),
        partial(_tables, list(cfgs), data, external, first.prepare.lesion_value),
        partial(_ensembles, list(cfgs), external),
    )
    return studies.run(cross_validation, out, fold=fold, merge=merge)


def _networks(cfgs: dict[str, Config]) -> dict[str, Config]:
    """Recipes of different networks, which stand side by side in the tables by their names."""
    networks = [cfg.model.network for cfg in cfgs.values()]
    if len(set(networks)) < len(networks):
        raise InputError(f"recipes {', '.join(cfgs)} are of {', '.join(networks)}; one of each")
    return cfgs


def _segmented(recipe: str) -> str:
    """Step in which a network segments what it did not learn from."""
    return f"segment-{recipe}"


def _steps(
    cfgs: Mapping[str, Config],
    data: Sequence[Path],
    training: Callable[[Config, Path], None],
) -> list[Step]:
    def segmentation(recipe: str, folder: Path) -> None:
        segment(data, [folder.parent / recipe], folder, held_out=True, probabilities=True)

    trainings = [Step(name, partial(training, cfg)) for name, cfg in cfgs.items()]
    return trainings + [
        Step(_segmented(name), partial(segmentation, name), needs=[name]) for name in cfgs
    ]


def _ensembles(
    recipes: Sequence[str], external: Sequence[Path], folds: Sequence[Ended]
) -> list[Step]:
    """Of each external data set and network, the mean of all folds."""

    def segmentation(recipe: str, data: Path, folder: Path) -> None:
        runs = [run for fold in folds if (run := fold.of(recipe))]
        pictures = [case.image for case in read_images(data).cases]
        segment(pictures, runs, folder, probabilities=True)

    return [
        Step(_external(recipe, n), partial(segmentation, recipe, data), inputs=str(data.resolve()))
        for n, data in enumerate(external)
        for recipe in recipes
    ]


def _external(recipe: str, number: int) -> str:
    return f"{_segmented(recipe)}-{number}"


def _tables(
    recipes: Sequence[str],
    data: Sequence[Path],
    external: Sequence[Path],
    lesion_value: str | None,
    folds: Sequence[Ended],
    ensembles: Ended,
    folder: Path,
) -> None:
    """Table 2 of what the folds held out, and of each external data set."""
    outputs = [fold.of(_segmented(recipe)) for recipe in recipes for fold in folds]
    evaluate([path for path in outputs if path], data, folder, lesion_value=lesion_value)
    for number, other in enumerate(external):
        outputs = [ensembles.of(_external(recipe, number)) for recipe in recipes]
        pred, tables = [path for path in outputs if path], folder / f"external-{number}"
        evaluate(pred, [other], tables, lesion_value=lesion_value)
