"""Training the classification network on the features of a trained coarse one (PNET Sec. 2.3)."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import jax

from core.commands import train as training
from core.commands.train import Division, Training
from core.data.pipeline import batches
from core.errors import InputError
from core.train import optim
from core.train.task import Rows, Task
from core.types import ModelState, Params
from s4c.classifier.coarse import open_coarse
from s4c.classifier.config import ClassifierConfig
from s4c.classifier.data import FEATURES, Example, batch_maker, examples_of
from s4c.classifier.features import extractor
from s4c.classifier.infer import asker
from s4c.classifier.loss import loss
from s4c.data import Prepared
from s4c.model import classifier
from s4c.prepare import find_cache, folds, open_cases

CURVES = ("loss", "accuracy")


def build(
    cfg: ClassifierConfig,
    train_on: Sequence[Example],
    evaluate_on: Sequence[Example] = (),
    *,
    workers: int = 0,
) -> Task:
    """Task of the network: everything `core.train.fit` needs.

    Args:
      cfg: the recipe.
      train_on: cases to learn from.
      evaluate_on: held-out cases; none, no evaluation.
      workers: processes that read features; 0 for threads.
    """
    make = batch_maker(train_on, cfg, host=jax.process_index(), num_hosts=jax.process_count())
    num_channels = train_on[0].features.shape[-1]
    schedule = optim.polynomial_decay(cfg.optim.learning_rate, cfg.run.steps, power=cfg.optim.power)
    return Task(
        init=lambda key: classifier.init(cfg.model, key, num_channels),
        loss=partial(loss, cfg),
        tx=optim.sgd(schedule, momentum=cfg.optim.momentum, weight_decay=cfg.optim.weight_decay),
        batches=lambda start: batches(
            make, start=start, num_steps=cfg.run.steps, num_workers=workers
        ),
        evaluate=_evaluator(cfg, evaluate_on) if evaluate_on else None,
    )


def divide(
    cfg: ClassifierConfig,
    data: Sequence[Path],
    out: Path,
    *,
    fold: int | None,
    coarse: Path | None,
    labels: str | None,
    workers: int,
) -> tuple[Division, Callable[[], Training]]:
    """Who is learned from, which are those of the coarse run, and what makes the training.

    Args:
      cfg: the recipe.
      data: as of `s4c train`.
      out: run folder; gets the features of the cases.
      fold: that is held out; None, that of the coarse run.
      coarse: run folder of the coarse network; a run that goes on knows its own.
      labels: what label names mean, as of `s4c prepare`.
      workers: processes that read features.

    Raises:
      InputError: no coarse run, another fold or other cases than it has.
    """
    run, known = open_coarse(out, coarse)
    if fold not in (None, run.division.fold):
        raise InputError(
            f"is of fold {run.division.fold}, and --fold is {fold}",
            path=run.path,
            hint="leave --fold out: it is that of the coarse run",
        )
    folder = find_cache(data, run.cfg.prepare, out, labels=labels)
    cases, own = open_cases(folder), partial(folds, cfg=run.cfg.split)

    def make(*parts: Sequence[Prepared]) -> Training:
        train_on, held_out = (
            [examples[case.id] for case in part if case.id in examples] for part in parts
        )
        task = build(cfg, train_on, held_out, workers=workers)
        return Training(task, cfg.run, cfg.data.batch)

    fold, grid_mm = run.division.fold, run.cfg.prepare.spacing_mm
    division, make_training = training.divide_by_fold(
        folder, cases, fold, own, make, grid_mm=grid_mm
    )
    if division != run.division:
        raise InputError(
            "learned from other cases than --data holds, or divides",
            path=run.path,
            hint="give the data that it was trained on",
        )
    extract = extractor(run.cfg.model, *run.weights())
    # Here, not in `make`: the first host makes the features, and the others find them.
    examples = {e.id: e for e in examples_of(cases, extract, known.weights, out / FEATURES)}
    return division, make_training


def _evaluator(
    cfg: ClassifierConfig, examples: Sequence[Example]
) -> Callable[[Params, ModelState], Rows]:
    """Rows of held-out cases in their annotated region: probability, and whether it is right.

    What the predicted region makes of them is for `s4c screen`. No row tells a `loss`: cases that
    are held out to be tested must not choose the weights.
    """

    def evaluate(params: Params, model_state: ModelState) -> Rows:
        ask = asker(cfg.model, params)
        rows = []
        for example in examples:
            score = ask(example.features[...])
            is_right = (score >= cfg.infer.threshold) is example.is_abnormal
            rows.append({"id": example.id, "score": score, "right": float(is_right)})
        return rows

    return evaluate
