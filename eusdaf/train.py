"""Training one network (Sec. 2.4)."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from core import sharding
from core.data.pipeline import batches
from core.data.splits import choose_fold
from core.metrics.overlap import dice
from core.train import optim
from core.train.fit import fit
from core.train.run_folder import finish_run, open_run, record_fold
from core.train.task import Rows, Task
from core.types import ModelState, Params, Variables
from eusdaf import model, weights
from eusdaf.config import Config, OptimConfig
from eusdaf.data import Prepared, batch_maker
from eusdaf.loss import loss
from eusdaf.networks import network
from eusdaf.prepare import folds, load

BATCHES_AHEAD = 2
"""Ready on the host while the device works; a batch of 32 takes 4 MB."""


def build(
    cfg: Config,
    train_on: Sequence[Prepared],
    evaluate_on: Sequence[Prepared] = (),
    *,
    encoder_weights: Path | None = None,
) -> Task:
    """Task of one network: everything `core.train.fit` needs.

    Args:
      cfg: the recipe; its run counted in steps or in epochs.
      train_on: pictures to learn from.
      evaluate_on: held-out pictures; none, no evaluation.
      encoder_weights: file of an ImageNet encoder to start DAF-Net from.
    """
    if cfg.data.lesions_only:
        train_on = [case for case in train_on if case.has_lesion]
    make = batch_maker(
        train_on,
        cfg.data.batch,
        cfg.run.seed,
        host=jax.process_index(),
        num_hosts=jax.process_count(),
    )
    steps = cfg.run.in_steps(len(train_on), cfg.data.batch).steps
    return Task(
        init=partial(_init, cfg, encoder_weights),
        loss=partial(loss, cfg),
        tx=optimizer(cfg.optim, steps_per_epoch=len(train_on) / cfg.data.batch),
        batches=lambda start: batches(
            make,
            start=start,
            num_steps=steps,
            num_threads=min(8, os.cpu_count() or 1),
            buffer_size=BATCHES_AHEAD,
        ),
        evaluate=_evaluator(cfg, evaluate_on, sharding.mesh()) if evaluate_on else None,
    )


def optimizer(cfg: OptimConfig, *, steps_per_epoch: float) -> optax.GradientTransformation:
    """The recipe's optimizer; its rate falls when the named epochs, counted from 1, begin."""
    drops = {round((epoch - 1) * steps_per_epoch): cfg.drop_factor for epoch in cfg.drop_epochs}
    schedule = optax.piecewise_constant_schedule(cfg.learning_rate, drops)
    decays = None if cfg.decay_biases else _is_kernel
    if cfg.algorithm == "adam":
        decay = optax.add_decayed_weights(cfg.weight_decay, decays)
        return optax.chain(decay, optax.adam(schedule))
    return optim.sgd(schedule, momentum=cfg.momentum, weight_decay=cfg.weight_decay, decays=decays)


def _is_kernel(params: Params) -> Params:
    return jax.tree.map(lambda array: array.ndim > 1, params)


def train(
    cfg: Config,
    data: Path,
    out: Path,
    *,
    fold: int | None = None,
    encoder_weights: Path | None = None,
    resume: bool = False,
    distributed: bool = False,
) -> None:
    """Train one network into a run folder.

    Args:
      cfg: the recipe.
      data: cache of `eusdaf.prepare`, or a data set.
      out: run folder.
      fold: train on this fold and evaluate on its held-out patients; None trains on everybody.
      encoder_weights: file of an ImageNet encoder to start DAF-Net from.
      resume: continue the run in `out`.
      distributed: join the other hosts first.

    Raises:
      InputError: data, weights, fold or run folder cannot be used.
      RunError: the loss is no longer finite.
    """
    if distributed:
        sharding.distributed()
    open_run(out, cfg, resume=resume)
    cases = load(data, cfg.prepare, out)
    by_id = {case.id: case for case in cases}
    split = choose_fold(by_id, fold, lambda: folds(cases, cfg.split))
    record_fold(out, fold, train=split.train, test=split.test)
    train_on, held_out = ([by_id[id_] for id_ in ids] for ids in (split.train, split.test))
    task = build(cfg, train_on, held_out, encoder_weights=encoder_weights)
    num_seen = sum(case.has_lesion or not cfg.data.lesions_only for case in train_on)
    run, mesh = cfg.run.in_steps(num_seen, cfg.data.batch), sharding.mesh()
    fit(task, run, mesh=mesh, workdir=out, resume=resume)
    start = None if encoder_weights is None else encoder_weights.name
    finish_run(cfg, mesh, out, curves=("loss", "dice_loss"), more={"encoder_weights": start})


def _init(cfg: Config, encoder_weights: Path | None, key: jax.Array) -> Variables:
    """Fresh variables; the encoder's from a file where one is given (Sec. 2.4: ImageNet)."""
    size = cfg.prepare.size
    variables = model.init(cfg.model, key, (1, size, size, 3))
    if encoder_weights is None:
        return variables
    return weights.load_encoder(variables, encoder_weights)


def _evaluator(cfg: Config, cases: Sequence[Prepared], mesh: Mesh):
    """DSC of every held-out picture, at the size of the network."""

    def evaluate(params: Params, model_state: ModelState) -> Rows:
        predict = network(cfg, params, model_state, mesh)
        probs = predict(np.stack([case.image[...] for case in cases]))
        return [
            {"id": case.id, "dsc": dice(prob >= cfg.infer.threshold, case.mask[...] == 1)}
            for case, prob in zip(cases, probs, strict=True)
        ]

    return evaluate
