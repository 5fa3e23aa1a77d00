"""Training a network that segments: the organs and vessels, the tumor, or the lymph nodes."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from core import compiler
from core.commands import train as training
from core.commands.train import Division, Training
from core.data import patches
from core.data.pipeline import batches
from core.metrics.overlap import dice
from core.train.task import Rows, Task
from core.types import Key, ModelState, Params, Variables
from lnmet import model, optimizers
from lnmet.config import Config
from lnmet.data import Prepared, batch_maker, cut, foreground_intensities, usable
from lnmet.labels import CLASSES
from lnmet.loss import loss
from lnmet.parts import parts_of
from lnmet.prepare import find_cache, open_cases
from lnmet.weights import start_of, starting_params, with_ancestor

CURVES = ("loss", "loss_entropy", "loss_overlap")


def build(
    cfg: Config,
    train_on: Sequence[Prepared],
    evaluate_on: Sequence[Prepared] = (),
    *,
    params: Params | None = None,
    workers: int = 0,
) -> Task:
    """Task of one network: everything `core.train.fit` needs.

    Args:
      cfg: the recipe.
      train_on: cases to draw patches from.
      evaluate_on: held-out cases; none, no evaluation.
      params: of a network of the same shapes to start from; None draws them.
      workers: processes that cut patches; 0 for threads.
    """
    channels = foreground_intensities(train_on, cfg.data.phases, cfg.data.target)
    make = batch_maker(
        train_on, cfg, channels, host=jax.process_index(), num_hosts=jax.process_count()
    )
    shape = (1, *cfg.data.patch, len(cfg.data.phases))
    num_classes = len(CLASSES[cfg.data.target])

    def init(key: Key) -> Variables:
        drawn = model.init(cfg.model, key, shape, num_classes=num_classes, intensities=channels)
        return drawn if params is None else {**drawn, "params": jax.tree.map(jnp.asarray, params)}

    return Task(
        init=init,
        loss=partial(loss, cfg),
        tx=optimizers.nnunet(cfg.optim, cfg.run.steps),
        batches=lambda start: batches(
            make, start=start, num_steps=cfg.run.steps, num_workers=workers
        ),
        evaluate=_evaluator(cfg, evaluate_on) if evaluate_on else None,
    )


def divide(
    cfg: Config,
    data: Sequence[Path],
    out: Path,
    *,
    fold: int | None,
    weights: Path | None,
    workers: int,
) -> tuple[Division, Callable[[], Training], Mapping[str, Any]]:
    """Who is learned from, what makes the training, and notes for the manifest."""
    start = start_of(out, weights, cfg)
    folder = find_cache(data, cfg.prepare, out)
    cases = {case.id: case for case in usable(open_cases(folder), cfg)}
    parts = parts_of(folder, cases, fold, cfg.split)
    train_on, validate_on = ([cases[id_] for id_ in ids] for ids in (parts.train, parts.val))
    division = training.division(
        folder,
        parts,
        cases.values(),
        lambda case: [case.id],
        fold,
        grid_mm=cfg.prepare.spacing_mm,
    )

    def make() -> Training:
        params = starting_params(out, start)
        task = build(cfg, train_on, validate_on, params=params, workers=workers)
        return Training(task, cfg.run, cfg.data.batch)

    return with_ancestor(division, start), make, {"weights": start and start.note()}


def _evaluator(cfg: Config, cases: Sequence[Prepared]) -> Callable[[Params, ModelState], Rows]:
    """Rows of one patch per validation case, around its foreground: a learning curve.

    Whole cases are for `lnmet evaluate`; one patch a case costs seconds and shows the trend.
    """
    target, num_classes = cfg.data.target, len(CLASSES[cfg.data.target])
    examples, fill = {}, np.zeros(len(cfg.data.phases), np.int16)
    for case in cases:
        if len(voxels := case.voxels[target][:, 1:]):
            start = patches.centered_start(
                patches.middle_voxel(voxels), case.label.shape, cfg.data.patch
            )
            examples[case.id] = cut(case, cfg, start, cfg.data.patch, fill)

    @compiler.jit
    def forward(
        params: Params, model_state: ModelState, image: jax.Array, gate: jax.Array | None
    ) -> jax.Array:
        normalized = model.normalize(model_state, image)
        return model.apply(cfg.model, params, normalized, gate, num_classes=num_classes)[0]

    def evaluate(params: Params, model_state: ModelState) -> Rows:
        rows = []
        for id_, example in examples.items():
            gate = example.get("attention")
            gate = None if gate is None else gate[None].astype(np.float32)
            logits = forward(params, model_state, example["image"][None], gate)
            pred, true = np.asarray(logits)[0].argmax(-1), example["label"]
            dsc = [
                dice(pred == k, true == k)
                for k in range(1, num_classes)
                if example["annotated"][k] and (true == k).any()
            ]
            rows.append({"id": id_, "dsc": float(np.mean(dsc)) if dsc else float("nan")})
        return rows

    return evaluate
