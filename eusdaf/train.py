"""Training one network (Sec. 2.4)."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax

from core import cli, sharding
from core.commands import train as training
from core.commands.train import Division, Training
from core.data.epochs import batch_maker
from core.data.pipeline import batches
from core.errors import InputError
from core.metrics.overlap import dice
from core.nn.resnet_weights import load_trunk
from core.random import rng
from core.train import optim
from core.train.task import Rows, Task
from core.types import ModelState, Params, Variables
from eusdaf import model
from eusdaf.config import Config, ModelConfig, OptimConfig
from eusdaf.data import Prepared, batch_of
from eusdaf.loss import loss
from eusdaf.networks import network
from eusdaf.prepare import find_cache, folds, open_cases

logger = logging.getLogger(__name__)


def build(
    cfg: Config,
    train_on: Sequence[Prepared],
    evaluate_on: Sequence[Prepared] = (),
    *,
    encoder_weights: Path | None = None,
    workers: int = 0,
) -> Task:
    """Task of one network: everything `core.train.fit` needs.

    Args:
      cfg: the recipe; its run counted in steps or in epochs.
      train_on: pictures to learn from.
      evaluate_on: held-out pictures; none, no evaluation.
      encoder_weights: file of an ImageNet encoder to start DAF-Net from.
      workers: processes that make batches; 0 for threads.
    """
    learned = learned_from(cfg, train_on)
    make = batch_maker(
        learned,
        batch_of,
        cfg.data.batch,
        partial(rng, cfg.run.seed),
        host=jax.process_index(),
        num_hosts=jax.process_count(),
    )
    if _is_pretrained_in_the_paper(cfg.model) and encoder_weights is None:
        text = "no --encoder-weights: the encoder starts at random, the paper's from ImageNet"
        logger.warning(text)
    steps = cfg.run.in_steps(len(learned), cfg.data.batch).steps
    return Task(
        init=partial(_init, cfg, encoder_weights),
        loss=partial(loss, cfg),
        tx=optimizer(cfg.optim, steps_per_epoch=len(learned) / cfg.data.batch),
        batches=lambda start: batches(make, start=start, num_steps=steps, num_workers=workers),
        evaluate=_evaluator(cfg, evaluate_on) if evaluate_on else None,
    )


def learned_from(cfg: Config, cases: Sequence[Prepared]) -> list[Prepared]:
    """Pictures of a training set that batches are drawn from.

    Raises:
      InputError: none.
    """
    learned = [case for case in cases if case.has_lesion or not cfg.data.lesions_only]
    if not learned:
        raise InputError("no training picture", hint="look at data.lesions_only and the folds")
    return learned


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


def _is_pretrained_in_the_paper(cfg: ModelConfig) -> bool:
    """Whether this is DAF-Net over a ResNeXt-101, not a thin one that has no ImageNet weights."""
    whole = ModelConfig()
    return (cfg.network, cfg.width, cfg.blocks) == (whole.network, whole.width, whole.blocks)


def train(
    cfg: Config,
    data: cli.Data,
    out: Path,
    *,
    fold: int | None = None,
    workers: int = 0,
    encoder_weights: Path | None = None,
    resume: bool = False,
    distributed: bool = False,
    fsdp: bool = False,
    space: int = 1,
) -> None:
    """Train a network.

    Args:
      cfg: the recipe.
      data: what `prepare` wrote, or data sets (prepared into the run folder first).
      out: run folder: config.json, manifest.json, metrics.jsonl, checkpoints/.
      fold: hold this fold out, the first is 0, and evaluate on it; without, train on every picture.
      workers: processes that make batches, where threads starve the device; 0 for threads.
      encoder_weights: .safetensors or .pth of a ResNeXt trained on ImageNet, for DAF-Net; give it
        again with --resume.
      resume: continue a run, bit for bit as if it had not stopped.
      distributed: join the other hosts of a cluster first.
      fsdp: cut parameters and optimizer state over the devices, where they fill the memory of one.
      space: devices that share an image, where that fills the memory of one.

    Raises:
      InputError: data, weights, fold or run folder cannot be used.
      RunError: the loss is no longer finite.
    """

    def make(train_on: Sequence[Prepared], held_out: Sequence[Prepared]) -> Training:
        task = build(cfg, train_on, held_out, encoder_weights=encoder_weights, workers=workers)
        run = cfg.run.in_steps(len(learned_from(cfg, train_on)), cfg.data.batch)
        return Training(task, run, cfg.data.batch)

    def divide() -> tuple[Division, Callable[[], Training]]:
        folder = find_cache(data, cfg.prepare, out)
        own = partial(folds, cfg=cfg.split)
        return training.divide_by_fold(folder, open_cases(folder), fold, own, make)

    training.train(
        cfg,
        out,
        divide=divide,
        curves=("loss", "dice_loss"),
        resume=resume,
        distributed=distributed,
        fsdp=fsdp,
        space=space,
        notes={"encoder_weights": encoder_weights and encoder_weights.name},
    )


def _init(cfg: Config, encoder_weights: Path | None, key: jax.Array) -> Variables:
    """Fresh variables; the encoder's from a file where one is given (Sec. 2.4: ImageNet)."""
    size = cfg.prepare.size
    variables = model.init(cfg.model, key, (1, size, size, 3))
    if encoder_weights is None:
        return variables
    return load_trunk(variables, "encoder", encoder_weights)


def _evaluator(cfg: Config, cases: Sequence[Prepared]) -> Callable[[Params, ModelState], Rows]:
    """DSC of every held-out picture, at the size of the network, a batch in memory at a time.

    Each host does it with its own devices: those of the others it cannot reach.
    """
    mesh = sharding.mesh(jax.local_devices())
    num = cfg.infer.batch * mesh.size

    def evaluate(params: Params, model_state: ModelState) -> Rows:
        predict, rows = network(cfg, params, model_state, mesh), []
        for first in range(0, len(cases), num):
            batch = cases[first : first + num]
            probs = predict(np.stack([case.image[...] for case in batch]))
            for case, prob in zip(batch, probs, strict=True):
                dsc = dice(prob >= cfg.infer.threshold, case.mask[...] == 1)
                rows.append({"id": case.id, "dsc": dsc})
        return rows

    return evaluate
