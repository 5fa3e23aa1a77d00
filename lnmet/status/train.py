"""Training a network that tells the patient's status from pictures of the tumor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from core import sharding
from core.commands import train as training
from core.commands.train import Division, Training
from core.data.index import cases_of, read_index
from core.data.pipeline import batches
from core.errors import InputError
from core.losses.entropy import cross_entropy
from core.train.config import RunConfig
from core.train.task import Rows, Task
from core.types import Key, ModelState, Params, Variables
from lnmet import optimizers
from lnmet.asking import positive
from lnmet.data import Prepared
from lnmet.model import status
from lnmet.parts import parts_of
from lnmet.prepare import find_cache, open_cases
from lnmet.status.config import StatusConfig
from lnmet.status.data import Example, batch_maker, num_inputs, scan_of, usable
from lnmet.status.infer import asker
from lnmet.status.loss import loss
from lnmet.status.nodes_alone import choose_threshold, write_threshold
from lnmet.status.pretrained import starting_file, unless_trained
from lnmet.status.volumes import volumes_of

CURVES = ("loss", "accuracy")


def build(
    cfg: StatusConfig,
    train_on: Sequence[Example],
    validate_on: Sequence[Example] = (),
    *,
    weights: Path | None = None,
    workers: int = 0,
) -> Task:
    """Task of the network: everything `core.train.fit` needs.

    Args:
      cfg: the recipe.
      train_on: patients to learn from.
      validate_on: patients who choose the weights; none, the last weights count.
      weights: file of a trained ResNet to start from; None draws its parameters.
      workers: processes that cut pictures; 0 for threads.
    """
    make = batch_maker(train_on, cfg, host=jax.process_index(), num_hosts=jax.process_count())
    steps = length(cfg, len(train_on)).steps
    of_input = cfg.data.box if cfg.model.network == "resnet3d" else (cfg.data.size,) * 2

    def init(key: Key) -> Variables:
        drawn = status.init(cfg.model, key, (1, *of_input, 3))
        return drawn if weights is None else status.load_pretrained(cfg.model, drawn, weights)

    return Task(
        init=init,
        loss=partial(loss, cfg),
        tx=optimizer(cfg, steps),
        batches=lambda start: batches(make, start=start, num_steps=steps, num_workers=workers),
        evaluate=_evaluator(cfg, validate_on) if validate_on else None,
    )


def length(cfg: StatusConfig, num_patients: int) -> RunConfig:
    """The run in steps; a recipe of epochs is evaluated after each, unless it sets a rhythm."""
    num_examples = num_patients * num_inputs(cfg)
    per_epoch = -(-num_examples // cfg.data.batch) if cfg.run.epochs else 0
    every = cfg.run.evaluate_every or per_epoch
    return replace(cfg.run.in_steps(num_examples, cfg.data.batch), evaluate_every=every)


def optimizer(cfg: StatusConfig, steps: int) -> optax.GradientTransformation:
    """That of the paper's fine-tuning; frozen parts stay, and count in no norm and no decay."""
    tx = optimizers.fine_tuning(cfg.optim, steps)
    if not cfg.model.frozen:
        return tx

    def roles(params: Params) -> Any:
        frozen = status.frozen_parts(params, cfg.model.frozen)
        return jax.tree.map(lambda is_frozen: "frozen" if is_frozen else "trained", frozen)

    return optax.multi_transform({"trained": tx, "frozen": optax.set_to_zero()}, roles)


def divide(
    cfg: StatusConfig,
    data: Sequence[Path],
    out: Path,
    *,
    fold: int | None,
    weights: Path | None,
    workers: int,
    nodes: Sequence[Path] = (),
) -> tuple[Division, Callable[[], Training], Mapping[str, Any]]:
    """Who is learned from, what makes the training, and notes for the manifest.

    Args:
      cfg: the recipe.
      data: as of `lnmet train`.
      out: run folder.
      fold: that is held out.
      weights: file of a trained ResNet.
      workers: processes that cut pictures.
      nodes: the --out of `lnmet segment`, which tell of metastatic nodes.

    Raises:
      InputError: no tumor, status or volume is known of enough cases, or a file cannot be used.
    """
    if nodes and not cfg.model.nodes:
        raise InputError("--nodes is given, and the recipe does not look at nodes")
    file = starting_file(out, weights, cfg.model)
    folder = find_cache(data, cfg.prepare, out)
    cases = {case.id: case for case in usable(open_cases(folder), cfg.data.phases)}
    parts = parts_of(folder, cases, fold, cfg.split)
    division = training.division(
        folder,
        parts,
        cases.values(),
        lambda case: [case.id],
        fold,
        grid_mm=cfg.prepare.spacing_mm,
    )
    notes: dict[str, Any] = {"weights": file and file.name, "nodes": None}
    volumes: Mapping[str, float] = {}
    if cfg.model.nodes:
        learned = [cases[id_] for id_ in (*parts.train, *parts.val)]
        files = {id_: entry.files for id_, entry in cases_of(read_index(folder)).items()}
        told = volumes_of(out, nodes, learned, files, cfg.prepare.spacing_mm)
        volumes, notes["nodes"] = told.of_case, told.note()
        by_part = {"val": parts.val, "train": parts.train}
        of_parts = {name: [cases[id_] for id_ in ids] for name, ids in by_part.items()}
        write_threshold(out, choose_threshold(volumes, of_parts))
    train_on, validate_on = (
        [_example(cases[id_], volumes) for id_ in ids] for ids in (parts.train, parts.val)
    )

    def make() -> Training:
        first = unless_trained(out, file)
        task = build(cfg, train_on, validate_on, weights=first, workers=workers)
        return Training(task, length(cfg, len(train_on)), cfg.data.batch)

    return division, make, notes


def _example(case: Prepared, volumes_mm3: Mapping[str, float]) -> Example:
    """A usable case; networks that do not look at nodes are told 0."""
    return Example(case, bool(case.status), volumes_mm3.get(case.id, 0.0))


def _evaluator(
    cfg: StatusConfig, examples: Sequence[Example]
) -> Callable[[Params, ModelState], Rows]:
    """Rows of validation patients: mean loss of their pictures, score, and whether it is right."""
    # Every host judges for itself, with a device of its own.
    mesh = sharding.mesh(jax.local_devices()[:1])

    def evaluate(params: Params, model_state: ModelState) -> Rows:
        ask = asker(cfg, {"params": params, **model_state}, mesh)
        rows = []
        for example in examples:
            logits = ask(scan_of(example.case), example.volume_mm3)
            truths = np.full(len(logits), example.is_positive, np.uint8)
            score = float(positive(logits).mean())
            row = {
                "id": example.case.id,
                "loss": float(np.mean(cross_entropy(logits, truths))),
                "score": score,
                "accuracy": float((score >= cfg.infer.threshold) is example.is_positive),
            }
            rows.append(row)
        return rows

    return evaluate
