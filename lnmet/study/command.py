"""`lnmet study`: the nested cross-validation, fold by fold, and its tables."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from core import cli
from core.commands import study as studies
from core.commands.study import Study
from core.commands.study_inputs import describe, describe_cases, prepared
from core.commands.train import splits_of
from core.train.config import RunConfig
from lnmet.config import SplitConfig
from lnmet.organ_source import organ_source
from lnmet.parts import folds
from lnmet.prepare import open_cases
from lnmet.study.external import external_steps
from lnmet.study.merge import merge_folds
from lnmet.study.plan import Plan, networks, prepare_all
from lnmet.study.steps import fold_steps
from lnmet.trainable import lacks


def study(
    data: cli.Data,
    out: Path,
    *,
    tiny: bool = False,
    organs: Path | None = None,
    label_map: str = "lnmet",
    external: cli.External = (),
    cache: Path | None = None,
    fold: int | None = None,
    merge: bool = False,
    workers: int = 0,
    choices: Annotated[cli.Choices, cli.Overrides(run=RunConfig, split=SplitConfig)] = None,
) -> int:
    """Cross-validate everything: networks of every fold, then Tables IV to VII.

    In every fold all networks are trained on the same patients, 64 % of all, choose weights and
    thresholds on 16 %, and are judged on 20 %. Masks of the tumor are those of the prepared cases:
    annotated, or given to `lnmet prepare --pdac`. What the labels do not allow is left out, and the
    report says why. What a call that was killed has not done, the same call does. Folds may be done
    by jobs of their own, with --fold, and merged at the end, with --merge.

    Args:
      data: annotated data sets, nnU-Net raw or MSD.
      out: gets study.json, fold_K/, external/ and merged/ with metrics.json and report.html.
      tiny: take the `tiny-*` recipes, for phantoms on two cores.
      organs: organs and vessels of all data sets: label maps <case>.nii.gz, or a model folder of
        nnU-Net; without, a network is trained to segment them.
      label_map: what the ids of these maps mean, as for `lnmet prepare`.
      external: data sets of other hospitals, with the tumor's mask and the status of each patient,
        which the ensemble of all folds is judged on (Table VII).
      cache: what `lnmet prepare` wrote of the data sets; without, they are prepared into OUT first.
      fold: do this fold alone, the first is 0.
      merge: only merge the folds that are done.
      workers: processes that cut patches, where threads starve the device; 0 for threads.
      choices: override every recipe's.

    Returns:
      1 if some case could not be segmented, else 0.

    Raises:
      InputError: data that cannot be used, a folder of another study, or folds to merge that are
        not complete.
    """
    cfgs = networks(tiny, choices or {})
    options = {"organs": organs and str(organs.resolve()), "label_map": label_map}
    described = describe(data, cfgs, options)
    if organs is not None:
        organ_source(organs, label_map)  # refused before anything is trained

    def find(paths: Sequence[Path], workdir: Path) -> Path:
        return prepare_all(paths, cfgs, workdir, organs=organs, label_map=label_map)

    folder = prepared(out, data, described, cache, find, one_fold=fold is not None)
    cases = open_cases(folder)
    plan = Plan(data, folder.parent, cfgs, organs, label_map, out / "radiomics", lacks(cases))
    splits, _ = splits_of(folder, lambda: folds(cases, cfgs["status"].split))
    cross_validation = Study(
        {**described, **describe_cases(cases)},
        len(splits),
        lambda number: fold_steps(plan, number, workers),
        partial(merge_folds, plan, external),
        lambda ended: external_steps(plan, external, ended),
    )
    return studies.run(cross_validation, out, fold=fold, merge=merge)
