"""Optimizers and schedules of the papers that optax does not have under one name."""

from collections.abc import Callable
from typing import Any

import optax

from core.types import Params


def polynomial_decay(learning_rate: float, steps: int, *, power: float) -> optax.Schedule:
    """Learning rate `learning_rate · (1 − it / steps)^power`, zero from `steps` on."""
    return optax.polynomial_schedule(
        init_value=learning_rate, end_value=0.0, power=power, transition_steps=steps
    )


def sgd(
    learning_rate: optax.ScalarOrSchedule,
    *,
    momentum: float,
    weight_decay: float,
    nesterov: bool = False,
    decays: Callable[[Params], Any] | None = None,
) -> optax.GradientTransformation:
    """Momentum with coupled weight decay, as in PyTorch.

    g ← ∇L + weight_decay · p;  v ← momentum · v + g;  p ← p − learning_rate · v, or with Nesterov
    p ← p − learning_rate · (g + momentum · v)

    Args:
      learning_rate: a number, or a function of the step.
      momentum: in [0, 1).
      weight_decay: factor of the decay.
      nesterov: look ahead along the momentum.
      decays: tree of parameters → tree of whether each decays; None, all do, also those of norms.

    Source: torch.optim.SGD (dampening 0).
    """
    return optax.chain(
        optax.add_decayed_weights(weight_decay, decays),
        optax.sgd(learning_rate, momentum=momentum, nesterov=nesterov),
    )
