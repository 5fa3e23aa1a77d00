"""Writes both folders of a run in turns, as a script: whole states, and the best weights."""

import sys
from pathlib import Path

import jax
import numpy as np
import optax

from core import sharding
from core.train.checkpoint import BEST, CHECKPOINTS, Checkpoints
from core.train.state import State

STEPS = 12


def write(workdir: Path) -> None:
    params = {"w": np.zeros((64, 64), np.float32)}
    state = State(np.int32(0), params, {}, optax.sgd(0.1, momentum=0.9).init(params))
    state = jax.device_put(state, sharding.replicated(state, sharding.mesh()))
    with (
        Checkpoints(workdir / CHECKPOINTS, keep=2) as checkpoints,
        Checkpoints(workdir / BEST, keep=2) as best,
    ):
        for step in range(1, STEPS + 1):
            checkpoints.save(step, state)
            best.save_model(step, state)


if __name__ == "__main__":
    sharding.distributed()
    write(Path(sys.argv[1]))
