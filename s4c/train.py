"""Training one network of the cascade (Sec. 2.2)."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np

from core import cli, compiler
from core.commands import train as training
from core.commands.train import Division, Training
from core.data import patches
from core.data.pipeline import batches
from core.errors import InputError
from core.train import optim
from core.train.task import Rows, Task
from core.types import ModelState, Params
from s4c import model
from s4c.cascade import most_probable
from s4c.classifier import train as classifier_train
from s4c.classifier.config import ClassifierConfig
from s4c.config import Config
from s4c.data import Prepared, batch_maker, cut
from s4c.loss import loss
from s4c.overlap import overlap
from s4c.prepare import find_cache, folds, open_cases
from s4c.recipes import AnyConfig

CURVES = ("loss", "loss_main")


def build(
    cfg: Config,
    train_on: Sequence[Prepared],
    evaluate_on: Sequence[Prepared] = (),
    *,
    workers: int = 0,
) -> Task:
    """Task of one network: everything `core.train.fit` needs.

    Args:
      cfg: the recipe.
      train_on: cases to draw patches from.
      evaluate_on: held-out cases; none, no evaluation.
      workers: processes that cut patches; 0 for threads.
    """
    make = batch_maker(
        train_on,
        cfg.data,
        cfg.run.seed,
        host=jax.process_index(),
        num_hosts=jax.process_count(),
    )
    schedule = optim.polynomial_decay(cfg.optim.learning_rate, cfg.run.steps, power=cfg.optim.power)
    return Task(
        init=lambda key: model.init(cfg.model, key, (1, *(cfg.data.patch,) * 3, 1)),
        loss=partial(loss, cfg),
        tx=optim.sgd(schedule, momentum=cfg.optim.momentum, weight_decay=cfg.optim.weight_decay),
        batches=lambda start: batches(
            make, start=start, num_steps=cfg.run.steps, num_workers=workers
        ),
        evaluate=_evaluator(cfg, evaluate_on) if evaluate_on else None,
    )


def train(
    cfg: AnyConfig,
    data: cli.Data,
    out: Path,
    *,
    fold: int | None = None,
    coarse: Path | None = None,
    labels: str | None = None,
    workers: int = 0,
    resume: bool = False,
    distributed: bool = False,
    fsdp: bool = False,
    space: int = 1,
) -> None:
    """Train one network of the cascade, or the classifier that it is compared with.

    Args:
      cfg: the recipe.
      data: what `prepare` wrote, or data sets (prepared into the run folder first).
      out: run folder: config.json, manifest.json, metrics.jsonl, checkpoints/.
      fold: hold this fold out, the first is 0, and evaluate on it; without, train on every case.
        A classifier's is that of its coarse run.
      coarse: of a classifier, the run of the 64³ network whose features it learns from. A run that
        goes on knows it.
      labels: what label names mean, as of `prepare`; without, as the cache was prepared.
      workers: processes that cut patches, where threads starve the device; 0 for threads.
      resume: continue a run, bit for bit as if it had not stopped.
      distributed: join the other hosts of a cluster first.
      fsdp: cut parameters and optimizer state over the devices, where they fill the memory of one.
      space: devices that share an image, where that fills the memory of one.

    Raises:
      InputError: data, fold or run folder cannot be used.
      RunError: the loss is no longer finite.
    """
    if isinstance(cfg, ClassifierConfig):
        divide = partial(
            classifier_train.divide,
            *(cfg, data, out),
            fold=fold,
            coarse=coarse,
            labels=labels,
            workers=workers,
        )
        curves = classifier_train.CURVES
    elif coarse is not None:
        raise InputError("--coarse is for classifiers")
    else:
        divide = partial(_divide, cfg, data, out, fold=fold, labels=labels, workers=workers)
        curves = CURVES
    training.train(
        cfg,
        out,
        divide=divide,
        curves=curves,
        resume=resume,
        distributed=distributed,
        fsdp=fsdp,
        space=space,
    )


def _divide(
    cfg: Config,
    data: Sequence[Path],
    out: Path,
    *,
    fold: int | None,
    labels: str | None,
    workers: int,
) -> tuple[Division, Callable[[], Training]]:
    """Who a network of the cascade learns from, and what makes its training."""

    def make(train_on: Sequence[Prepared], held_out: Sequence[Prepared]) -> Training:
        return Training(build(cfg, train_on, held_out, workers=workers), cfg.run, cfg.data.batch)

    folder = find_cache(data, cfg.prepare, out, labels=labels)
    own = partial(folds, cfg=cfg.split)
    cases, grid_mm = open_cases(folder), cfg.prepare.spacing_mm
    return training.divide_by_fold(folder, cases, fold, own, make, grid_mm=grid_mm)


def _evaluator(cfg: Config, cases: Sequence[Prepared]) -> Callable[[Params, ModelState], Rows]:
    """Rows of one patch per held-out case, around its tumor or else its pancreas: a learning curve.

    Whole scans are for `s4c evaluate`; one patch a case costs seconds and shows the trend.
    """
    with_pancreas = [case for case in cases if case.pancreas_box is not None]
    examples = [cut(case, _middle(case, cfg.data.patch), cfg.data.patch) for case in with_pancreas]

    @compiler.jit
    def forward(params: Params, model_state: ModelState, image: jax.Array) -> jax.Array:
        return model.apply(cfg.model, params, model_state, image)[0].main

    def evaluate(params: Params, model_state: ModelState) -> Rows:
        rows = []
        for case, (image, label) in zip(with_pancreas, examples, strict=True):
            logits = forward(params, model_state, image[None, ..., None])
            found = overlap(most_probable(np.asarray(logits)[0]), label)
            rows.append(
                {
                    "id": case.id,
                    "pancreas_dsc": found.pancreas,
                    "tumor_dsc": found.tumor,
                }
            )
        return rows

    return evaluate


def _middle(case: Prepared, side: int) -> patches.Start:
    voxels = case.tumor_voxels if case.is_abnormal else case.pancreas_voxels
    return patches.centered_start(patches.middle_voxel(voxels), case.label.shape, (side,) * 3)
