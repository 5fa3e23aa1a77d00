"""Trained networks ready to screen: run folders in, a cascade out."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from core.config import overridden
from core.errors import InputError
from core.infer.load import Run, load_runs, require_same, require_same_division
from core.infer.sliding import predictor
from core.types import ModelState, Params
from s4c import model
from s4c.cascade import Predict
from s4c.config import Config

OUTSIDE = 0.0
"""What a scan smaller than a window is padded with, after normalisation: the scan's mean."""


class Cascade(NamedTuple):
    """Networks ready to screen, coarse one first."""

    cfg: Config
    """Of the coarse network: its window, margin and decision hold for the whole cascade."""
    predicts: Sequence[Predict]
    alone: bool = False
    """Whether a single fine network answers, inside the region of the coarse one (Table 1)."""


def open_runs(paths: Sequence[Path], *, allow_unfinished: bool = False) -> list[Run[Config]]:
    """Runs of one cascade, the largest patch first.

    Raises:
      InputError: a folder that is no finished run, two networks of one patch size, or networks of
        different folds, data or HU windows.
    """
    runs = load_runs(Config, paths, allow_unfinished=allow_unfinished)
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
    cfgs = [overridden(run.cfg, choices) for run in runs]
    predicts = [sliding(cfg, *r.weights(), mesh) for cfg, r in zip(cfgs, runs, strict=True)]
    return Cascade(cfgs[0], predicts, alone)


def sliding(cfg: Config, params: Params, model_state: ModelState, mesh: Mesh) -> Predict:
    """A network as a function from a normalised scan to class probabilities.

    Softmax of overlapping windows is averaged (Sec. 2.3); a small scan is padded with `OUTSIDE`.
    """

    def apply(variables: Mapping[str, Any], image: jax.Array) -> jax.Array:
        return model.apply(cfg.model, variables["params"], variables["model_state"], image)[0].main

    side, step = cfg.data.patch, cfg.infer.stride
    predict = predictor(
        apply,
        window=(side, side, side),
        stride=(step, step, step),
        batch=cfg.infer.batch * mesh.size,
        num_classes=cfg.model.num_classes,
        combine="average",
        sharding=NamedSharding(mesh, PartitionSpec("data")),
    )
    variables = jax.device_put(
        {"params": params, "model_state": model_state}, NamedSharding(mesh, PartitionSpec())
    )
    return lambda image: predict(variables, image[..., None], fill=OUTSIDE)
