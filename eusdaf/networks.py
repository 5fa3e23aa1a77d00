"""Trained networks ready to segment: run folders in, a function of pictures out."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, UInt8

from core import compiler, sharding
from core.errors import InputError
from core.infer.batches import in_batches
from core.train.checkpoint import restore_model
from core.train.run_folder import load_config, weights_folder
from core.types import ModelState, Params
from eusdaf import model
from eusdaf.config import Config, ModelConfig
from eusdaf.loss import normalize

Predict = Callable[[UInt8[np.ndarray, "n s s"]], Float[np.ndarray, "n s s"]]
"""Probability of tumor in any number of gray pictures of the networks' size."""


class Ensemble(NamedTuple):
    """Networks of one size whose probabilities are averaged; mostly there is one."""

    cfg: Config
    """Of the first: its size and threshold hold for all."""
    predict: Predict


def load_ensemble(runs: Sequence[Path], mesh: Mesh) -> Ensemble:
    """Load trained networks.

    Args:
      runs: run folders, such as the folds of one recipe.
      mesh: the devices that share the pictures.

    Raises:
      InputError: a folder that is no finished run, or networks of different picture sizes.
    """
    cfgs = [load_config(Config, run) for run in runs]
    for cfg, run in zip(cfgs, runs, strict=True):
        if cfg.prepare != cfgs[0].prepare:
            raise InputError(
                f"was trained on pictures of {cfg.prepare.size} pixels, {runs[0]} on "
                f"{cfgs[0].prepare.size}",
                path=run,
                hint="give runs of one size",
            )
    predicts = [
        network(cfg, *restore_model(weights_folder(run)), mesh)
        for cfg, run in zip(cfgs, runs, strict=True)
    ]

    def mean(pictures: UInt8[np.ndarray, "n s s"]) -> Float[np.ndarray, "n s s"]:
        return np.mean([predict(pictures) for predict in predicts], axis=0)

    return Ensemble(cfgs[0], mean)


def network(cfg: Config, params: Params, model_state: ModelState, mesh: Mesh) -> Predict:
    """One network over any number of pictures, compiled once for a recipe.

    Args:
      cfg: its recipe.
      params: trained.
      model_state: batch-norm statistics.
      mesh: the devices that share a batch.
    """
    variables = params, model_state
    placed = jax.device_put(variables, sharding.replicated(variables, mesh))
    apply, batch = _program(cfg.model), cfg.infer.batch * mesh.size

    def predict(pictures: UInt8[np.ndarray, "n s s"]) -> Float[np.ndarray, "n s s"]:
        return in_batches(apply, placed, [pictures], batch=batch, mesh=mesh)

    return predict


@cache
def _program(cfg: ModelConfig) -> Callable[..., Array]:
    """Compiled once for an architecture, whatever the weights: an ensemble shares it."""

    def probability(variables: tuple[Params, ModelState], image: Array) -> Array:
        outputs, _ = model.apply(cfg, *variables, normalize(image))
        return jax.nn.sigmoid(outputs.logits[..., 0])

    return compiler.jit(probability)
