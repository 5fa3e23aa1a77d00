"""What a training is: five plain functions, handed to `fit`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import optax

from core.types import Batch, Key, Metrics, ModelState, Params, Scalar, Variables

Rows = Sequence[Mapping[str, Any]]
"""One row of an evaluation per case: its `id`, and numbers by name."""


class Task(NamedTuple):
    """Five functions; replace one with `task._replace(loss=mine)`."""

    init: Callable[[Key], Variables]
    """Fresh `{"params": …, "batch_stats": …}`."""
    loss: Callable[[Params, ModelState, Batch, Key], tuple[Scalar, tuple[ModelState, Metrics]]]
    """Loss of a batch, the model's next state and scalars to log."""
    tx: optax.GradientTransformation
    """The optimizer; clipping, schedule, freezing and accumulation live here."""
    batches: Callable[[int], Iterator[Batch]]
    """Batches from a step on: the same ones whether or not the run was interrupted before it."""
    evaluate: Callable[[Params, ModelState], Rows] | None = None
    """Rows per case, or None when there is nothing to evaluate on."""
