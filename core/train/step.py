"""One update of the parameters, as a pure function."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from core import compiler
from core.random import step_key
from core.train.state import State
from core.train.task import Task
from core.types import Batch, Metrics


def make_step(task: Task, seed: int) -> Callable[[State, Batch], tuple[State, Metrics]]:
    """Function from a state and a batch to the next state and the metrics of this step.

    The metrics are those of the task's loss, and `loss` and `grad_norm` (of the raw gradient).
    """
    value_and_grad = jax.value_and_grad(task.loss, has_aux=True)

    def step(state: State, batch: Batch) -> tuple[State, Metrics]:
        key = step_key(seed, state.step)
        (loss, (model_state, metrics)), grads = value_and_grad(
            state.params, state.model_state, batch, key
        )
        updates, opt_state = task.tx.update(grads, state.opt_state, state.params)
        params: Any = optax.apply_updates(state.params, updates)
        metrics = {"loss": loss, "grad_norm": optax.tree.norm(grads), **metrics}
        return State(state.step + 1, params, model_state, opt_state), metrics

    return step


def lower_step(task: Task, seed: int, state: State, batch: Batch) -> jax.stages.Lowered:
    """The step as a training runs it, ready to compile: the new state lies where the old one did.

    Args:
      task: what is trained.
      seed: of the run.
      state: on its devices, or shapes with the shardings that it would have there.
      batch: likewise.
    """
    places = jax.tree.map(lambda a: a.sharding, state)
    (device, *_) = state.step.sharding.device_set
    jitted = compiler.jit(
        make_step(task, seed),
        platform=device.platform,
        donate_argnums=0,
        out_shardings=(places, None),
    )
    return jitted.lower(state, batch)
