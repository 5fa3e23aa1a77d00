"""Trained networks ready to diagnose: three run folders in, functions of slices out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, UInt8

from core import compiler
from core.config import overridden
from core.errors import InputError
from core.infer.batches import in_batches
from core.infer.load import (
    Run,
    load_runs,
    require_folds_of_one_data_set,
    require_same,
    require_same_division,
)
from core.types import ModelState, Params
from fee import model
from fee.config import Config, ModelConfig
from fee.loss import fuse, normalize
from fee.saliency import Explain, explainer

TASKS = ("locate", "segment", "diagnose")
DECISION_CHOICES = ("infer.rule", "infer.threshold")
"""Of the decision about a patient; the other networks keep the thresholds of their own runs."""

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


def open_runs(paths: Sequence[Path], *, allow_unfinished: bool = False) -> list[Run[Config]]:
    """Runs of the three networks of a system, in the order of `TASKS`.

    Args:
      paths: a run folder for each task, in any order; or one folder that holds them as locate/,
        segment/ and diagnose/.
      allow_unfinished: also take runs that have not reached their end.

    Raises:
      InputError: a folder that is no finished run, a task without a run or with two, or networks
        that were trained on other slices, patients or parts of them.
    """
    if len(paths) == 1 and not (paths[0] / "config.json").exists():
        paths = [paths[0] / task for task in TASKS if (paths[0] / task).is_dir()] or paths
    by_task: dict[str, Run[Config]] = {}
    for run in load_runs(Config, paths, allow_unfinished=allow_unfinished):
        if (other := by_task.setdefault(run.cfg.task, run)) is not run:
            raise InputError(
                f"is a second network for the task {run.cfg.task}, beside {other.path}",
                path=run.path,
                hint="give one run for each of locate, segment and diagnose",
            )
    if missing := [task for task in TASKS if task not in by_task]:
        raise InputError(
            f"no run for {' and '.join(missing)} among {', '.join(map(str, paths))}",
            hint="give one run for each of locate, segment and diagnose, or a folder of the three",
        )
    runs = [by_task[task] for task in TASKS]
    require_same(runs, lambda cfg: cfg.prepare, _slices_text)
    require_same(runs, lambda cfg: cfg.split, lambda cfg: f"a split by {cfg.split.by}")
    if runs[0].cfg.split.by == "patient":
        require_same_division(runs)
    else:  # every task parts the images that it learns from
        require_folds_of_one_data_set(runs)
    return runs


def load_bundle(runs: Sequence[Run[Config]], mesh: Mesh, choices: Mapping[str, Any]) -> Bundle:
    """Load the trained networks of a system.

    Args:
      runs: of `open_runs`.
      mesh: the devices that share the slices.
      choices: operating choices that override the configs', "infer.threshold" → probability; rule
        and threshold are those of the decision about a patient, so of `diagnose` alone.
    """
    cfgs = asked(runs, choices)
    weights = {run.cfg.task: run.weights() for run in runs}
    return Bundle(
        cfgs,
        *(network(cfgs[task], *weights[task], mesh) for task in TASKS),
        explain=explainer(cfgs["diagnose"].model, *weights["diagnose"]),
    )


def asked(runs: Sequence[Run[Config]], choices: Mapping[str, Any]) -> dict[str, Config]:
    """Configs of the networks as they are asked, by task; choices as of `load_bundle`."""
    return {run.cfg.task: overridden(run.cfg, _choices_of(run.cfg.task, choices)) for run in runs}


def _choices_of(task: str, choices: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in choices.items()
        if task == "diagnose" or name not in DECISION_CHOICES
    }


def _slices_text(cfg: Config) -> str:
    low, high = cfg.prepare.window_hu
    return f"slices of {cfg.prepare.size} pixels and {low:g} to {high:g} HU"


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
    program, batch = compiler.of_config(probability, cfg.model), cfg.infer.batch * mesh.size
    return in_batches(program, (params, model_state), batch=batch, mesh=mesh)


def probability(
    cfg: ModelConfig,
    variables: tuple[Params, ModelState],
    image: Array,
    mask: Array | None = None,
) -> Array:
    """Probability of class 1 of each slice, or pixel; slices with masks are fused with them."""
    inputs = image if mask is None else fuse(image, mask)
    logits, _ = model.apply(cfg, *variables, normalize(inputs))
    # The softmax of two classes without its sums over two numbers, which are slow on CPU.
    return jax.nn.sigmoid(logits[..., 1] - logits[..., 0])
