"""Trained networks ready to segment: run folders in, a function of pictures out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, UInt8

from core import compiler
from core.config import overridden
from core.infer.batches import in_batches
from core.infer.load import Run, load_runs, require_folds_of_one_data_set, require_same
from core.types import ModelState, Params
from eusdaf import model
from eusdaf.config import Config, ModelConfig
from eusdaf.loss import normalize

Predict = Callable[[UInt8[np.ndarray, "n s s"]], Float[np.ndarray, "n s s"]]
"""Probability of tumor in any number of gray pictures of the networks' size."""


class Ensemble(NamedTuple):
    """Networks of one recipe whose probabilities are averaged; mostly there is one."""

    cfg: Config
    """Of the first: its size and operating choices hold for all."""
    predict: Predict


def open_runs(
    paths: Sequence[Path], *, held_out: bool = False, allow_unfinished: bool = False
) -> list[Run[Config]]:
    """Runs whose probabilities may be averaged.

    Args:
      paths: run folders: of one network, its folds of one data set.
      held_out: for pictures that the runs did not train on, which only runs of one fold share.
      allow_unfinished: also use runs that have not reached their end.

    Raises:
      InputError: a folder that is no finished run, or runs that differ in picture size, network or
        data set.
    """
    runs = load_runs(Config, paths, allow_unfinished=allow_unfinished)
    require_same(
        runs, lambda cfg: cfg.prepare.size, lambda cfg: f"pictures of {cfg.prepare.size} pixels"
    )
    require_same(runs, lambda cfg: cfg.model, lambda cfg: f"another {cfg.model.network}")
    if not held_out:
        require_folds_of_one_data_set(runs)
    return runs


def load_ensemble(runs: Sequence[Run[Config]], mesh: Mesh, choices: Mapping[str, Any]) -> Ensemble:
    """Load trained networks.

    Args:
      runs: of `open_runs`.
      mesh: the devices that share the pictures.
      choices: operating choices that override the configs', "infer.threshold" → probability.
    """
    cfg = overridden(runs[0].cfg, choices)
    predicts = [network(cfg, *run.weights(), mesh) for run in runs]

    def mean(pictures: UInt8[np.ndarray, "n s s"]) -> Float[np.ndarray, "n s s"]:
        return np.mean([predict(pictures) for predict in predicts], axis=0)

    return Ensemble(cfg, mean)


def network(cfg: Config, params: Params, model_state: ModelState, mesh: Mesh) -> Predict:
    """One network over any number of pictures, compiled once for a recipe.

    Args:
      cfg: its recipe.
      params: trained.
      model_state: batch-norm statistics.
      mesh: the devices that share a batch.
    """
    program, batch = compiler.of_config(probability, cfg.model), cfg.infer.batch * mesh.size
    return in_batches(program, (params, model_state), batch=batch, mesh=mesh)


def probability(cfg: ModelConfig, variables: tuple[Params, ModelState], image: Array) -> Array:
    """Probability of tumor of each pixel of gray pictures (n, s, s)."""
    outputs, _ = model.apply(cfg, *variables, normalize(image))
    return jax.nn.sigmoid(outputs.logits[..., 0])
