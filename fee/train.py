"""Training one of the three networks (Methods, Architectures; Results, Sub-networks)."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import optax

from core import sharding
from core.data.pipeline import batches
from core.data.splits import Parts, image_parts, three_parts
from core.errors import InputError
from core.train.config import RunConfig
from core.train.fit import fit
from core.train.run_folder import finish_run, open_run, record_fold
from core.train.task import Task
from core.types import Variables
from fee import model
from fee.config import Config, OptimConfig
from fee.data import Case, Example, batch_maker, examples
from fee.loss import loss
from fee.prepare import load
from fee.validation import evaluator
from fee.weights import load_resnet

BATCHES_AHEAD = 2
"""Ready on the host while the device works; a batch of 32 takes 17 MB with its masks."""


def build(
    cfg: Config,
    train_on: Sequence[Example],
    validate_on: Sequence[Example] = (),
    *,
    weights: Path | None = None,
) -> Task:
    """Task of one network: everything `core.train.fit` needs.

    Args:
      cfg: the recipe; its run counted in steps or in epochs.
      train_on: slices to learn from.
      validate_on: slices to choose the weights by; none, no evaluation.
      weights: file of a ResNet trained on ImageNet to start from.
    """
    make = batch_maker(train_on, cfg, host=jax.process_index(), num_hosts=jax.process_count())
    return Task(
        init=partial(_init, cfg, weights),
        loss=partial(loss, cfg),
        tx=optimizer(cfg.optim, steps_per_epoch=len(train_on) / cfg.data.batch),
        batches=lambda start: batches(
            make,
            start=start,
            num_steps=length(cfg, len(train_on)).steps,
            num_threads=min(8, os.cpu_count() or 1),
            buffer_size=BATCHES_AHEAD,
        ),
        evaluate=evaluator(cfg, validate_on) if validate_on else None,
    )


def optimizer(cfg: OptimConfig, *, steps_per_epoch: float) -> optax.GradientTransformation:
    """Adam; whenever `drop_epochs` epochs are over, its rate is multiplied by `drop_factor`."""
    rate: optax.ScalarOrSchedule = cfg.learning_rate
    if cfg.drop_epochs:
        every = max(1, round(cfg.drop_epochs * steps_per_epoch))
        rate = optax.exponential_decay(rate, every, cfg.drop_factor, staircase=True)
    return optax.adam(rate, b1=cfg.beta1, b2=cfg.beta2, eps=cfg.eps)


def length(cfg: Config, num_slices: int) -> RunConfig:
    """The run in steps, with an evaluation after every epoch unless the recipe sets a rhythm."""
    run = cfg.run.in_steps(num_slices, cfg.data.batch)
    return replace(run, evaluate_every=run.evaluate_every or -(-num_slices // cfg.data.batch))


def train(
    cfg: Config,
    data: Path,
    out: Path,
    *,
    weights: Path | None = None,
    resume: bool = False,
    distributed: bool = False,
) -> None:
    """Train one network into a run folder.

    Args:
      cfg: the recipe.
      data: cache of `fee.prepare`, or a data set.
      out: run folder; its folds.json names the parts, and the test part is left alone.
      weights: file of a ResNet trained on ImageNet to start from.
      resume: continue the run in `out`.
      distributed: join the other hosts first.

    Raises:
      InputError: data, weights or run folder cannot be used.
      RunError: the loss is no longer finite.
    """
    if distributed:
        sharding.distributed()
    open_run(out, cfg, resume=resume)
    cases = load(data, out, screen=cfg.screen, cfg=cfg.prepare)
    parts, learned, validated = divide(cases, cfg)
    record_fold(out, None, train=parts.train, val=parts.val, test=parts.test)
    task, mesh = build(cfg, learned, validated, weights=weights), sharding.mesh()
    run = length(cfg, len(learned))
    fit(task, run, mesh=mesh, workdir=out, resume=resume, patience=cfg.stop.patience)
    start = None if weights is None else weights.name
    finish_run(cfg, mesh, out, curves=("loss", "accuracy"), more={"weights": start})


def divide(cases: Sequence[Case], cfg: Config) -> tuple[Parts, list[Example], list[Example]]:
    """Parts of a data set, and the slices of the first two.

    Patients are parted before slices are chosen, those with and without a tumor alike. So all three
    tasks hold out the same patients.

    Args:
      cases: all series of the data set.
      cfg: task, slices and split.

    Raises:
      InputError: fewer patients, or images, than parts.
    """
    found, split = examples(cases, cfg), cfg.split
    by_image = split.by == "image"
    try:
        if by_image:
            whose = {example.name: example.case.patient for example in found}
            parts = image_parts(whose, split.parts, split.seed)
        else:
            parts = three_parts(_classes(cases), split.parts, split.seed)
    except ValueError as error:
        raise InputError(str(error), hint="set --split.parts, or give more patients") from None
    train_on, val = set(parts.train), set(parts.val)

    def of(part: set[str]) -> list[Example]:
        return [e for e in found if (e.name if by_image else e.case.patient) in part]

    return parts, of(train_on), of(val)


def _classes(cases: Sequence[Case]) -> dict[str, tuple[bool, bool]]:
    """Whether a patient has a tumor, and whether a mask, in any series."""
    classes: dict[str, tuple[bool, bool]] = {}
    for case in cases:
        tumor, mask = classes.get(case.patient, (False, False))
        classes[case.patient] = (tumor or bool(case.tumor), mask or case.mask is not None)
    return classes


def _init(cfg: Config, weights: Path | None, key: jax.Array) -> Variables:
    """Fresh variables; the trunk's from a file where one is given."""
    size = cfg.prepare.size
    variables = model.init(cfg.model, key, (1, size, size, 1))
    return variables if weights is None else load_resnet(variables, weights)
