"""The three networks as a file that runs without panjax, by examples/exported_fee.py."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from core import cli
from core.commands.export import export as export_programs
from core.infer.export import Program
from core.infer.load import Run
from fee.config import Config, InferConfig, ModelConfig
from fee.networks import TASKS, asked, open_runs, probability


def export(
    runs: cli.Paths,
    *,
    out: Path,
    allow_unfinished: bool = False,
    choices: Annotated[cli.Choices, cli.Overrides(infer=InferConfig)] = None,
) -> None:
    """Write the three networks of a system as one file that runs without panjax.

    Args:
      runs: the three trained networks, or one folder that holds them as locate/, segment/ and
        diagnose/.
      out: file .npz: the networks for CPU, CUDA and TPU, weights, and the numbers around them.
      allow_unfinished: also use runs that have not reached their end.
      choices: override the batch, and the rule and threshold of the decision about a patient.

    Raises:
      InputError: runs that make no system.
    """
    opened = open_runs(runs, allow_unfinished=allow_unfinished)
    cfgs = asked(opened, choices or {})
    programs = {run.cfg.task: _program(cfgs[run.cfg.task], run) for run in opened}
    about = {
        "window_hu": cfgs["locate"].prepare.window_hu,
        "size": cfgs["locate"].prepare.size,
        "thresholds": {task: cfgs[task].infer.threshold for task in TASKS},
        "rule": cfgs["diagnose"].infer.rule,
    }
    export_programs(out, programs, about, runs=opened)


def _program(cfg: Config, run: Run[Config]) -> Program:
    """(n, s, s) of gray slices, to diagnose with their masks → probability of class 1."""
    params, model_state = run.weights()
    slices = jax.ShapeDtypeStruct((cfg.infer.batch, cfg.prepare.size, cfg.prepare.size), jnp.uint8)
    return Program(
        partial(_ask, cfg.model),
        {"params": params, "model_state": model_state},
        [slices, slices] if cfg.task == "diagnose" else [slices],
    )


def _ask(cfg: ModelConfig, variables: Any, *arrays: jax.Array) -> jax.Array:
    return probability(cfg, (variables["params"], variables["model_state"]), *arrays)
