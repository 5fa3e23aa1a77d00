"""Training the network that tells metastatic nodes, from one that segments nodes."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from core import sharding
from core.commands import train as training
from core.commands.train import Division, Training
from core.data.parts import Parts
from core.data.pipeline import batches
from core.losses.entropy import cross_entropy
from core.train.config import RunConfig
from core.train.task import Rows, Task
from core.types import Key, ModelState, Params, Variables
from lnmet import optimizers
from lnmet.data import Prepared, fill_of, foreground_intensities
from lnmet.identification.config import IdentificationConfig
from lnmet.identification.data import batch_maker, cut, nodes_of, usable
from lnmet.identification.infer import classifier
from lnmet.identification.loss import loss
from lnmet.labels import has_target
from lnmet.model import identification
from lnmet.parts import parts_of
from lnmet.prepare import find_cache, open_cases
from lnmet.weights import start_of, starting_params, with_ancestor

logger = logging.getLogger(__name__)

CURVES = ("loss", "accuracy")


def build(
    cfg: IdentificationConfig,
    train_on: Sequence[Prepared],
    evaluate_on: Sequence[Prepared] = (),
    *,
    params: Params | None = None,
    workers: int = 0,
) -> Task:
    """Task of the network: everything `core.train.fit` needs.

    Args:
      cfg: the recipe.
      train_on: cases whose nodes are learned from.
      evaluate_on: cases whose nodes choose the weights; none, the last weights count.
      params: of a segmentation network, whose U-Net is the first one here; None draws it.
      workers: processes that cut crops; 0 for threads.
    """
    channels = foreground_intensities(train_on, cfg.data.phases, "nodes")
    make = batch_maker(
        train_on, cfg, channels, host=jax.process_index(), num_hosts=jax.process_count()
    )
    shape = (1, *cfg.data.patch, len(cfg.data.phases))
    steps = in_steps(cfg, train_on).steps

    def init(key: Key) -> Variables:
        backbone = None if params is None else params["unet"]
        return identification.init(cfg.model, key, shape, intensities=channels, backbone=backbone)

    return Task(
        init=init,
        loss=partial(loss, cfg),
        tx=optimizers.fine_tuning(cfg.optim, steps),
        batches=lambda start: batches(make, start=start, num_steps=steps, num_workers=workers),
        evaluate=_evaluator(cfg, evaluate_on, fill_of(channels)) if nodes_of(evaluate_on) else None,
    )


def in_steps(cfg: IdentificationConfig, cases: Sequence[Prepared]) -> RunConfig:
    """Length of a run in steps: an epoch is as many examples as there are nodes."""
    return cfg.run.in_steps(len(nodes_of(cases)), cfg.data.batch)


def divide(
    cfg: IdentificationConfig,
    data: Sequence[Path],
    out: Path,
    *,
    fold: int | None,
    weights: Path | None,
    workers: int,
) -> tuple[Division, Callable[[], Training], Mapping[str, Any]]:
    """Who is learned from, what makes the training, and notes for the manifest.

    Raises:
      InputError: no data set names metastatic nodes, the training part has one kind of node only,
        or weights that cannot be used.
    """
    start = start_of(out, weights, cfg)
    if start is None:
        logger.warning(
            "starts from random parameters; the paper starts from a run of nodes: --weights RUN"
        )
    folder = find_cache(data, cfg.prepare, out)
    with_nodes = {c.id: c for c in open_cases(folder) if has_target(c.annotated, "nodes")}
    cases = {c.id: c for c in usable(list(with_nodes.values()), cfg.data.phases)}
    # Folds are those of the segmentation, which learns from cases of unknown kind as well.
    of_all = parts_of(folder, with_nodes, fold, cfg.split)
    parts = Parts(*(tuple(id_ for id_ in ids if id_ in cases) for ids in of_all))
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
        return Training(task, in_steps(cfg, train_on), cfg.data.batch)

    return with_ancestor(division, start), make, {"weights": start and start.note()}


def _evaluator(
    cfg: IdentificationConfig, cases: Sequence[Prepared], fill: np.ndarray
) -> Callable[[Params, ModelState], Rows]:
    """Rows of the nodes of validation cases.

    Both kinds of node weigh half in their mean, as in a batch, and not as often as they occur.
    """
    nodes = nodes_of(cases)
    is_metastatic = np.array([node.is_metastatic for node in nodes])
    counts = np.bincount(is_metastatic, minlength=2)
    weights = len(nodes) / np.count_nonzero(counts) / counts[is_metastatic.astype(int)]
    # Each host evaluates with a device of its own.
    mesh = sharding.mesh(jax.local_devices()[:1])

    def evaluate(params: Params, model_state: ModelState) -> Rows:
        ask = classifier(cfg, {"params": params, **model_state}, mesh)
        logits = ask(cut(node, cfg.data.phases, cfg.data.patch, fill) for node in nodes)
        losses = np.asarray(cross_entropy(logits, is_metastatic.astype(np.uint8)))
        correct = (logits[:, 1] > logits[:, 0]) == is_metastatic
        rows = zip(nodes, weights * losses, weights * correct, strict=True)
        return [
            {"id": node.id, "loss": float(own_loss), "accuracy": float(accuracy)}
            for node, own_loss, accuracy in rows
        ]

    return evaluate
