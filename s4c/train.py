"""Training one network of the cascade (Sec. 2.2)."""

import os
from collections.abc import Sequence
from functools import partial

import jax
import numpy as np

from core.data import patches
from core.data.pipeline import batches
from core.metrics.overlap import dice
from core.train import optim
from core.train.task import Rows, Task
from core.types import ModelState, Params
from s4c import model
from s4c.cascade import most_probable
from s4c.config import Config
from s4c.data import Prepared, batch_maker, cut
from s4c.labels import BACKGROUND, TUMOR
from s4c.loss import loss

BATCHES_AHEAD = 2
"""Ready on the host while the device works; a batch of 128 patches of 16³ takes 2.6 MB."""


def build(cfg: Config, train_on: Sequence[Prepared], evaluate_on: Sequence[Prepared] = ()) -> Task:
    """Task of one network: everything `core.train.fit` needs.

    Args:
      cfg: the recipe.
      train_on: cases to draw patches from.
      evaluate_on: held-out cases; none, no evaluation.
    """
    make = batch_maker(train_on, cfg.data, cfg.run.seed)
    schedule = optim.polynomial_decay(cfg.optim.learning_rate, cfg.run.steps, power=cfg.optim.power)
    return Task(
        init=lambda key: model.init(cfg.model, key, (cfg.data.patch,) * 3),
        loss=partial(loss, cfg),
        tx=optim.sgd(schedule, momentum=cfg.optim.momentum, weight_decay=cfg.optim.weight_decay),
        batches=lambda start: batches(
            make,
            start=start,
            num_steps=cfg.run.steps,
            num_threads=min(8, os.cpu_count() or 1),
            buffer_size=BATCHES_AHEAD,
        ),
        evaluate=_evaluator(cfg, evaluate_on) if evaluate_on else None,
    )


def _evaluator(cfg: Config, cases: Sequence[Prepared]):
    """Rows of one patch per held-out case, around its tumor or else its pancreas: a learning curve.

    Whole scans are for `s4c evaluate`; one patch a case costs seconds and shows the trend.
    """
    shown = [case for case in cases if case.pancreas_box is not None]
    examples = [cut(case, _middle(case, cfg.data.patch), cfg.data.patch) for case in shown]

    @jax.jit
    def forward(params: Params, model_state: ModelState, image: jax.Array) -> jax.Array:
        return model.apply(cfg.model, params, model_state, image)[0].main

    def evaluate(params: Params, model_state: ModelState) -> Rows:
        rows = []
        for case, (image, label) in zip(shown, examples, strict=True):
            logits = forward(params, model_state, image[None, ..., None])
            pred = most_probable(np.asarray(logits)[0])
            rows.append(
                {
                    "id": case.id,
                    "pancreas_dsc": dice(pred != BACKGROUND, label != BACKGROUND),
                    "tumor_dsc": dice(pred == TUMOR, label == TUMOR),
                }
            )
        return rows

    return evaluate


def _middle(case: Prepared, side: int) -> patches.Start:
    voxels = case.tumor_voxels if case.is_abnormal else case.pancreas_voxels
    center = voxels[np.abs(voxels - voxels.mean(axis=0)).sum(axis=1).argmin()]
    return patches.centered_start(center, case.label.shape, (side,) * 3)
