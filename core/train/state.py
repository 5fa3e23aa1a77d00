"""Everything that training changes, as one value."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int32

from core.random import stream
from core.train.task import Task
from core.types import ModelState, Params


class State(NamedTuple):
    """State of a training after `step` updates."""

    step: Int32[Array, ""]
    params: Params
    model_state: ModelState
    opt_state: optax.OptState


def create(task: Task, seed: int) -> State:
    """State before the first update: a pure function of the seed."""
    variables = dict(task.init(stream(jax.random.key(seed), "init")))
    params = variables.pop("params")
    return State(jnp.int32(0), params, variables, task.tx.init(params))
