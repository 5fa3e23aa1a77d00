"""Training one of the three networks (Methods, Architectures; Results, Sub-networks)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import optax

from core import cli
from core.commands import train as training
from core.commands.train import Division, Training
from core.data.epochs import batch_maker
from core.data.parts import Parts, image_parts, three_parts
from core.data.pipeline import batches
from core.errors import InputError
from core.nn.resnet_weights import load_trunk
from core.random import rng
from core.train.config import RunConfig
from core.train.task import Task
from core.types import Variables
from fee import model
from fee.config import Config, OptimConfig
from fee.data import Example, PreparedSeries, batch_of, examples
from fee.loss import loss
from fee.metrics import evaluator
from fee.prepare import find_cache, open_series


def build(
    cfg: Config,
    train_on: Sequence[Example],
    validate_on: Sequence[Example] = (),
    *,
    weights: Path | None = None,
    workers: int = 0,
) -> Task:
    """Task of one network: everything `core.train.fit` needs.

    Args:
      cfg: the recipe; its run counted in steps or in epochs.
      train_on: slices to learn from.
      validate_on: slices to choose the weights by; none, no evaluation.
      weights: file of a ResNet trained on ImageNet to start from.
      workers: processes that make batches; 0 for threads.

    Raises:
      InputError: no slice to learn from.
    """
    if not train_on:
        raise InputError(
            f"no slice to train {cfg.task} on", hint="series with a mask are needed, see prepare"
        )
    make = batch_maker(
        train_on,
        partial(batch_of, cfg=cfg),
        cfg.data.batch,
        partial(rng, cfg.run.seed),
        host=jax.process_index(),
        num_hosts=jax.process_count(),
    )
    return Task(
        init=partial(_init, cfg, weights),
        loss=partial(loss, cfg),
        tx=optimizer(cfg.optim, steps_per_epoch=len(train_on) / cfg.data.batch),
        batches=lambda start: batches(
            make,
            start=start,
            num_steps=length(cfg, len(train_on)).steps,
            num_workers=workers,
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
    data: cli.Data,
    out: Path,
    *,
    weights: Path | None = None,
    workers: int = 0,
    resume: bool = False,
    distributed: bool = False,
    fsdp: bool = False,
    space: int = 1,
) -> None:
    """Train a network: locate, segment or diagnose.

    Args:
      cfg: the recipe.
      data: what `prepare` wrote, or data sets (prepared into the run folder first).
      out: run folder: config.json, manifest.json, metrics.jsonl, checkpoints/, best/; its
        folds.json names the parts, and the test part is left alone.
      weights: .safetensors or .pth of a ResNet trained on ImageNet, to start from.
      workers: processes that make batches, where threads starve the device; 0 for threads.
      resume: continue a run, bit for bit as if it had not stopped.
      distributed: join the other hosts of a cluster first.
      fsdp: cut parameters and optimizer state over the devices, where they fill the memory of one.
      space: devices that share an image, where that fills the memory of one.

    Raises:
      InputError: data, weights or run folder cannot be used.
      RunError: the loss is no longer finite.
    """

    def divide_series() -> tuple[Division, Callable[[], Training]]:
        folder = find_cache(data, out, screen=cfg.screen, cfg=cfg.prepare)
        series = open_series(folder)
        parts, train_on, validate_on = divide(series, cfg)
        return (
            training.division(folder, parts, series, partial(_part_names, cfg), None),
            lambda: Training(
                build(cfg, train_on, validate_on, weights=weights, workers=workers),
                length(cfg, len(train_on)),
                cfg.data.batch,
                cfg.stop.patience,
            ),
        )

    training.train(
        cfg,
        out,
        divide=divide_series,
        curves=("loss", "accuracy"),
        resume=resume,
        distributed=distributed,
        fsdp=fsdp,
        space=space,
        notes={"weights": None if weights is None else weights.name},
    )


def _part_names(cfg: Config, series: PreparedSeries) -> Iterable[str]:
    """Names that stand for a series in the parts of the data set."""
    if cfg.split.by == "patient":
        return [series.patient]
    return (Example(series, d, False).name for d in range(len(series.image)))


def divide(
    series: Sequence[PreparedSeries], cfg: Config
) -> tuple[Parts, list[Example], list[Example]]:
    """Parts of a data set, and the slices of the first two.

    Patients are parted before slices are chosen, those with and without a tumor alike. So all three
    tasks hold out the same patients.

    Args:
      series: all of the data set.
      cfg: task, slices and split.

    Raises:
      InputError: fewer patients, or images, than parts.
    """
    slices, split = examples(series, cfg), cfg.split
    by_image = split.by == "image"
    try:
        if by_image:
            patient_of = {example.name: example.series.patient for example in slices}
            parts = image_parts(patient_of, split.parts, split.seed)
        else:
            parts = three_parts(_classes(series), split.parts, split.seed)
    except ValueError as error:
        raise InputError(str(error), hint="set --split.parts, or give more patients") from None

    def of(part: Iterable[str]) -> list[Example]:
        names = set(part)
        return [e for e in slices if (e.name if by_image else e.series.patient) in names]

    return parts, of(parts.train), of(parts.val)


def _classes(series: Sequence[PreparedSeries]) -> dict[str, tuple[bool, bool]]:
    """Whether a patient has a tumor, and whether a mask, in any series."""
    classes: dict[str, tuple[bool, bool]] = {}
    for stack in series:
        tumor, mask = classes.get(stack.patient, (False, False))
        classes[stack.patient] = (tumor or bool(stack.tumor), mask or stack.mask is not None)
    return classes


def _init(cfg: Config, weights: Path | None, key: jax.Array) -> Variables:
    """Fresh variables; the trunk's from a file where one is given."""
    size = cfg.prepare.size
    variables = model.init(cfg.model, key, (1, size, size, 1))
    return (
        variables if weights is None else load_trunk(variables, model.TRUNK, weights, is_gray=True)
    )
