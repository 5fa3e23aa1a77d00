"""Trained networks ready to diagnose: three run folders in, functions of slices out."""

from collections.abc import Callable, Mapping, Sequence
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
from fee import model
from fee.config import Config, ModelConfig
from fee.fusion import fuse
from fee.loss import normalize
from fee.saliency import Explain, explainer

TASKS = ("locate", "segment", "diagnose")

Slices = UInt8[np.ndarray, "n s s"]
Predict = Callable[[Slices, Slices | None], Float[np.ndarray, "n ..."]]
"""(gray slices, their masks or None) → probability of class 1 of each slice, or of each pixel."""


class Bundle(NamedTuple):
    """The three networks of one system."""

    cfgs: Mapping[str, Config]
    """By task."""
    locate: Predict
    segment: Predict
    diagnose: Predict
    explain: Explain


def load_bundle(runs: Sequence[Path], mesh: Mesh) -> Bundle:
    """Load the trained networks of a system.

    Args:
      runs: a run folder for each task, in any order; or one folder that holds them as locate/,
        segment/ and diagnose/.
      mesh: the devices that share the slices.

    Raises:
      InputError: a folder that is no finished run, a task without a run or with two, or networks
        that were trained on slices of another size or window.
    """
    folders = _by_task(runs)
    cfgs = {task: load_config(Config, folders[task]) for task in TASKS}
    first = cfgs["locate"].prepare
    for task, cfg in cfgs.items():
        if cfg.prepare != first:
            raise InputError(
                f"was trained on slices of {_described(cfg)}, {folders['locate']} on "
                f"{_described(cfgs['locate'])}",
                path=folders[task],
                hint="give runs that were trained on the same slices",
            )
    weights = {task: restore_model(weights_folder(folders[task])) for task in TASKS}
    return Bundle(
        cfgs,
        *(network(cfgs[task], *weights[task], mesh) for task in TASKS),
        explain=explainer(cfgs["diagnose"].model, *weights["diagnose"]),
    )


def _by_task(runs: Sequence[Path]) -> dict[str, Path]:
    """Folder of each task."""
    if len(runs) == 1 and not (runs[0] / "config.json").exists():
        runs = [runs[0] / task for task in TASKS if (runs[0] / task).is_dir()] or runs
    found: dict[str, Path] = {}
    for run in runs:
        task = load_config(Config, run).task
        if task in found:
            raise InputError(
                f"is a second network for the task {task}, beside {found[task]}",
                path=run,
                hint="give one run for each of locate, segment and diagnose",
            )
        found[task] = run
    if missing := [task for task in TASKS if task not in found]:
        raise InputError(
            f"no run for {' and '.join(missing)} among {', '.join(map(str, runs))}",
            hint="give one run for each of locate, segment and diagnose, or a folder of the three",
        )
    return found


def _described(cfg: Config) -> str:
    low, high = cfg.prepare.window_hu
    return f"{cfg.prepare.size} pixels and {low:g} to {high:g} HU"


def network(cfg: Config, params: Params, model_state: ModelState, mesh: Mesh) -> Predict:
    """One network over any number of slices, compiled once for a recipe.

    Args:
      cfg: its recipe.
      params: trained.
      model_state: batch-norm statistics.
      mesh: the devices that share a batch.

    Returns:
      A function; where it gets masks, it sees the slices fused with them.
    """
    variables = params, model_state
    placed = jax.device_put(variables, sharding.replicated(variables, mesh))
    apply, batch = _program(cfg.model), cfg.infer.batch * mesh.size

    def predict(image: Slices, mask: Slices | None) -> Float[np.ndarray, "n ..."]:
        seen = [image] if mask is None else [image, mask]
        return in_batches(apply, placed, seen, batch=batch, mesh=mesh)

    return predict


@cache
def _program(cfg: ModelConfig) -> Callable[..., Array]:
    """Compiled once for an architecture, whatever the weights."""

    def probability(
        variables: tuple[Params, ModelState], image: Array, mask: Array | None = None
    ) -> Array:
        seen = image if mask is None else fuse(image, mask)
        logits, _ = model.apply(cfg, *variables, normalize(seen))
        # The softmax of two classes without its sums over two numbers, which are slow on CPU.
        return jax.nn.sigmoid(logits[..., 1] - logits[..., 0])

    return compiler.jit(probability)
