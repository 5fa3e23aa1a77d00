"""Optimizers of the paper: nnU-Net's for segmentation, and one for fine-tuning."""

from functools import partial
from typing import Any, Literal

import optax

from core.train import optim
from lnmet.config import FineTuningConfig, OptimConfig


def nnunet(cfg: OptimConfig, steps: int) -> optax.GradientTransformation:
    """Clipped gradient, decay, Nesterov; the learning rate falls once an epoch (Ref: nnU-Net)."""
    decay = optim.polynomial_decay(cfg.learning_rate, steps, power=cfg.power)

    def schedule(step: Any) -> Any:
        return decay(step // cfg.steps_per_epoch * cfg.steps_per_epoch)

    return _clipped(cfg, schedule)


def fine_tuning(cfg: FineTuningConfig, steps: int) -> optax.GradientTransformation:
    """Clipped gradient, decay, Nesterov; the learning rate falls with every step (Sec. IV-A)."""
    return _clipped(cfg, optim.polynomial_decay(cfg.learning_rate, steps, power=cfg.power))


def _clipped(
    cfg: OptimConfig | FineTuningConfig, schedule: optax.Schedule
) -> optax.GradientTransformation:
    algorithm: Literal["sgd", "adam"] = cfg.algorithm
    sgd = partial(optim.sgd, momentum=cfg.momentum, weight_decay=cfg.weight_decay, nesterov=True)
    descend = {"sgd": sgd, "adam": optax.adam}[algorithm]
    return optax.chain(optax.clip_by_global_norm(cfg.clip_norm), descend(schedule))
