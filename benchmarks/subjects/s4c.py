"""Every recipe of S4C, at batches that two cores do in seconds."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import harness
from benchmarks.subjects import Subject
from core.losses.entropy import cross_entropy
from core.train import optim
from s4c import model
from s4c.config import Config
from s4c.recipes import SEGMENTATION

PEER = "torch_s4c"
NAMES = list(SEGMENTATION)
BATCH = {"pdac-64": 2, "pdac-32": 8, "pdac-16": 32}
"""Cut down from the papers' 16, 32, 128; `tiny-*` as they are."""


def subject(name: str) -> Subject:
    """One recipe with random patches."""
    cfg = SEGMENTATION[name]
    cfg = replace(cfg, data=replace(cfg.data, batch=BATCH.get(name, cfg.data.batch)))
    side, batch = cfg.data.patch, cfg.data.batch
    rng = np.random.default_rng(0)
    image = rng.standard_normal((batch, side, side, side, 1), np.float32)
    label = rng.integers(0, cfg.model.num_classes, (batch, side, side, side), np.int32)
    return Subject(
        f"s4c/{name} {side}³ width {cfg.model.width} batch {batch}",
        image,
        label,
        init=lambda key: model.init(cfg.model, key, image.shape),
        predict=lambda params, state, x: model.apply(cfg.model, params, state, x)[0].main,
        loss=partial(_loss, cfg),
        tx=optim.sgd(
            cfg.optim.learning_rate,
            momentum=cfg.optim.momentum,
            weight_decay=cfg.optim.weight_decay,
        ),
        twin=lambda variables: harness.peer_module(PEER).Bench(cfg, variables, image, label),
    )


def _loss(
    cfg: Config, params: Any, state: Any, image: jax.Array, label: jax.Array
) -> tuple[jax.Array, Any]:
    outputs, state = model.apply(cfg.model, params, state, image, train=True)
    weighted = zip((1.0, *cfg.loss.aux_weights), (outputs.main, *outputs.aux), strict=True)
    terms = [
        w * jnp.mean(cross_entropy(z, label, class_weights=cfg.loss.class_weights))
        for w, z in weighted
    ]
    return jnp.stack(terms).sum(), state
