"""Trained networks ready to screen: run folders in, a cascade for each contrast phase out."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from core.config import overridden
from core.datasets.channels import Phase
from core.errors import InputError
from core.infer.load import (
    Run,
    load_runs,
    require_same,
    require_same_division,
    require_same_patients,
)
from core.infer.sliding import predictor
from core.infer.voting import voter
from core.types import ModelState, Params, Variables
from s4c import model
from s4c.cascade import Predict, Vote
from s4c.classifier.infer import Classifier
from s4c.config import Config
from s4c.grid import spacing_text

OUTSIDE = 0.0
"""What a scan smaller than a window is padded with, after normalisation: the scan's mean."""


class Cascade(NamedTuple):
    """Networks ready to screen, coarse one first."""

    cfg: Config
    """Of the coarse network: its window, margin and decision hold for the whole cascade."""
    predicts: Sequence[Predict] = ()
    """Of networks whose windows are averaged."""
    alone: bool = False
    """Whether a single fine network answers, inside the region of the coarse one (Table 1)."""
    vote: Vote | None = None
    """Of a network whose windows vote; it has no others beside it."""
    classifier: Classifier | None = None
    """Decides instead of the rule, on features of the coarse network (PNET Sec. 2.3)."""


Runs = Mapping[Phase | None, Sequence[Run[Config]]]
"""Runs of each contrast phase, the arterial one first; None where a network looks at any scan."""


def open_runs(paths: Sequence[Path], *, allow_unfinished: bool = False) -> Runs:
    """Runs of the cascade of each phase, the largest patch first; none of no paths.

    Raises:
      InputError: a folder that is no finished run, two networks of one patch size, networks of
        different folds, data, HU windows, spacings or labels, or of no phase beside those of one.
    """
    if not paths:
        return {}
    runs = load_runs(Config, paths, allow_unfinished=allow_unfinished)
    phases: set[Phase | None] = {run.cfg.prepare.phase for run in runs}
    by_phase: dict[Phase | None, list[Run[Config]]] = {
        phase: [run for run in runs if run.cfg.prepare.phase == phase]
        for phase in sorted(phases, key=str)
    }
    if None in by_phase and len(by_phase) > 1:
        raise InputError(
            "looks at scans of any phase, and other runs at those of one",
            path=by_phase[None][0].path,
            hint="give runs that belong together",
        )
    require_same(runs, lambda cfg: cfg.prepare.duct, lambda cfg: _labels(cfg.prepare.duct))
    require_same(runs, lambda cfg: cfg.model.network, lambda cfg: f"a {cfg.model.network}")
    require_same(runs, lambda cfg: cfg.prepare.spacing_mm, lambda cfg: spacing_text(cfg.prepare))
    require_same_patients(runs)
    return {phase: _cascade(of_phase) for phase, of_phase in by_phase.items()}


def _labels(duct: bool) -> str:
    return "labels with a dilated duct" if duct else "labels without a duct"


def _cascade(runs: list[Run[Config]]) -> list[Run[Config]]:
    """Runs of one phase, the largest patch first."""
    runs.sort(key=lambda run: -run.cfg.data.patch)
    for first, second in pairwise(runs):
        if first.cfg.data.patch == second.cfg.data.patch:
            raise InputError(
                f"has the same patch size {second.cfg.data.patch} as {first.path}",
                path=second.path,
                hint="give one run for each size",
            )
    require_same(runs, lambda cfg: cfg.prepare.window_hu, lambda cfg: f"{cfg.prepare.window_hu} HU")
    require_same_division(runs)
    return runs


def load_cascade(
    runs: Sequence[Run[Config]], mesh: Mesh, choices: Mapping[str, Any], *, alone: bool = False
) -> Cascade:
    """Load trained networks; the one with the largest patch is the coarse one.

    Args:
      runs: of `open_runs`.
      mesh: the devices that share the windows.
      choices: operating choices that override the configs', "infer.stride" → voxels.
      alone: whether the one fine network answers by itself inside the coarse region.
    """
    if alone and len(runs) != 2:
        raise InputError(f"--alone needs the coarse run and one other; got {len(runs)} runs")
    cfgs = asked(runs, choices)
    if cfgs[0].infer.combine == "vote":
        return Cascade(cfgs[0], vote=voting(cfgs[0], *runs[0].weights(), mesh))
    predicts = [sliding(cfg, *r.weights(), mesh) for cfg, r in zip(cfgs, runs, strict=True)]
    return Cascade(cfgs[0], predicts, alone)


def asked(runs: Sequence[Run[Config]], choices: Mapping[str, Any]) -> list[Config]:
    """Configs of the runs of a cascade as they are asked.

    Raises:
      InputError: windows that vote, with another network beside them.
    """
    cfgs = [overridden(run.cfg, choices) for run in runs]
    if cfgs[0].infer.combine == "vote" and len(runs) > 1:
        raise InputError(
            "has windows that vote, and no network beside it",
            path=runs[0].path,
            hint="give one run for each phase",
        )
    return cfgs


def sliding(cfg: Config, params: Params, model_state: ModelState, mesh: Mesh) -> Predict:
    """A network as a function from a normalised scan to class probabilities.

    Softmax of overlapping windows is averaged (Sec. 2.3); a small scan is padded with `OUTSIDE`.
    """
    predict = predictor(**windows_of(cfg), **_places(cfg, mesh), combine="average")
    variables = _on_devices(params, model_state, mesh)
    return lambda image: predict(variables, image[..., None], fill=OUTSIDE)


def voting(cfg: Config, params: Params, model_state: ModelState, mesh: Mesh) -> Vote:
    """A network as a function from a normalised scan to the labels of most windows.

    Ties go to the larger summed softmax (PNET Sec. 2.2); a small scan is padded with `OUTSIDE`.
    """
    vote = voter(**windows_of(cfg), **_places(cfg, mesh), early=cfg.infer.early)
    variables = _on_devices(params, model_state, mesh)
    return lambda image, body=None: vote(variables, image[..., None], fill=OUTSIDE, body=body)


def windows_of(cfg: Config) -> dict[str, Any]:
    """What sliding windows and votes are made of alike: apply, window, num_classes."""

    def apply(variables: Mapping[str, Any], image: jax.Array) -> jax.Array:
        return model.apply(cfg.model, variables["params"], variables["model_state"], image)[0].main

    return {
        "apply": apply,
        "window": (cfg.data.patch,) * 3,
        "num_classes": cfg.model.num_classes,
    }


def _places(cfg: Config, mesh: Mesh) -> dict[str, Any]:
    """Where windows lie, and how devices share them."""
    return {
        "stride": (cfg.infer.stride,) * 3,
        "batch": cfg.infer.batch * mesh.size,
        "sharding": NamedSharding(mesh, PartitionSpec("data")),
    }


def _on_devices(params: Params, model_state: ModelState, mesh: Mesh) -> Variables:
    whole = NamedSharding(mesh, PartitionSpec())
    return jax.device_put({"params": params, "model_state": model_state}, whole)
