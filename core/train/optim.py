"""Optimizers and schedules of the papers that optax does not have under one name."""

import optax


def polynomial_decay(learning_rate: float, steps: int, *, power: float) -> optax.Schedule:
    """Learning rate `learning_rate · (1 − it / steps)^power`, zero from `steps` on."""
    return optax.polynomial_schedule(
        init_value=learning_rate, end_value=0.0, power=power, transition_steps=steps
    )


def sgd(
    learning_rate: optax.ScalarOrSchedule, *, momentum: float, weight_decay: float
) -> optax.GradientTransformation:
    """Momentum without Nesterov and with coupled weight decay, as in PyTorch.

    g ← ∇L + weight_decay · p;  v ← momentum · v + g;  p ← p − learning_rate · v

    Source: torch.optim.SGD (dampening 0); decay applies to all parameters, also of norms.
    """
    return optax.chain(
        optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum=momentum)
    )
