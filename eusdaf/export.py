"""Networks as a file that runs without panjax, by examples/exported_eusdaf.py."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from core import cli
from core.commands.export import export as export_programs
from core.config import overridden
from core.infer.export import Program
from core.infer.load import Run
from eusdaf.config import Config, InferConfig, ModelConfig
from eusdaf.networks import open_runs, probability


def export(
    runs: cli.Paths,
    *,
    out: Path,
    allow_unfinished: bool = False,
    choices: Annotated[cli.Choices, cli.Overrides(infer=InferConfig)] = None,
) -> None:
    """Write networks whose probabilities are averaged as one file that runs without panjax.

    Args:
      runs: trained networks, such as the folds of one recipe.
      out: file .npz: the networks for CPU, CUDA and TPU, weights, and the numbers around them.
      allow_unfinished: also use runs that have not reached their end.
      choices: override the first run's, "infer.threshold" → probability.

    Raises:
      InputError: runs that do not go together.
    """
    opened = open_runs(runs, allow_unfinished=allow_unfinished)
    cfg = overridden(opened[0].cfg, choices or {})
    programs = {str(number): _program(cfg, run) for number, run in enumerate(opened)}
    about = {
        "networks": list(programs),
        "size": cfg.prepare.size,
        "threshold": cfg.infer.threshold,
    }
    export_programs(out, programs, about, runs=opened)


def _program(cfg: Config, run: Run[Config]) -> Program:
    """(n, s, s) of gray pictures → probability of tumor."""
    params, model_state = run.weights()
    shape = (cfg.infer.batch, cfg.prepare.size, cfg.prepare.size)
    return Program(
        partial(_ask, cfg.model),
        {"params": params, "model_state": model_state},
        [jax.ShapeDtypeStruct(shape, jnp.uint8)],
    )


def _ask(cfg: ModelConfig, variables: Any, image: jax.Array) -> jax.Array:
    return probability(cfg, (variables["params"], variables["model_state"]), image)
