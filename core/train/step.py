"""One update of the parameters, as a pure function."""

from collections.abc import Callable
from typing import Any

import jax
import optax

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
