"""Three small networks with random weights, in run folders as training leaves them."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp

from core import json_io
from core.train.checkpoint import Checkpoints
from core.train.run_folder import MANIFEST, Division, open_run, record_division
from core.train.state import State
from fee import model
from fee.config import Config, InferConfig, ModelConfig, PrepareConfig, ScreenConfig
from fee.recipes import RECIPES

SIZE = 32
MODELS = {
    "locate": ModelConfig("resnet", 4, (1, 1, 1, 1)),
    "segment": ModelConfig("unet", 2, convs=1),
    "diagnose": ModelConfig("resnet", 4, (1, 1, 1, 1)),
}

THRESHOLDS = {"locate": 0.46, "segment": 0.5, "diagnose": 0.48}
"""The first cuts through the answers that random weights give."""
LEARNED = Division(None, ("x",), ("y",), ("phantom_001",), {"x's scan": "train"}, {"x": "train"})


def config(task: str) -> Config:
    return replace(
        RECIPES[task],
        model=MODELS[task],
        prepare=PrepareConfig(size=SIZE),
        screen=ScreenConfig(size=0),
        infer=InferConfig(batch=2, threshold=THRESHOLDS[task]),
    )


@cache
def variables(task: str):
    """Random parameters, and the batch-norm statistics that go with them."""
    init = jax.jit(model.init, static_argnums=(0, 2))
    drawn = init(MODELS[task], jax.random.key(0), (1, SIZE, SIZE, 1))
    return drawn["params"], {"batch_stats": drawn["batch_stats"]}


def write_run(
    folder: Path,
    task: str,
    cfg: Config | None = None,
    *,
    division: Division = LEARNED,
    finished: bool = True,
) -> Path:
    open_run(folder, cfg or config(task), resume=False)
    record_division(folder, division)
    params, model_state = variables(task)
    state = State(jnp.zeros((), jnp.int32), params, model_state, {})
    with Checkpoints(folder / "checkpoints", keep=1) as checkpoints:
        checkpoints.save_model(0, state)
    if finished:
        json_io.write_json(folder / MANIFEST, {})
    return folder


def write_runs(folder: Path) -> list[Path]:
    return [write_run(folder / task, task) for task in MODELS]
