"""Both networks of LNMet for lymph nodes, with the paper's channels, on images made beforehand.

Without augmentation on either side: that is a suite of its own.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.subjects import EVERYWHERE, Subject, on_cpu, suffix
from core.augment.config import VolumeAugmentConfig
from core.preprocess.fingerprint import Intensities
from core.types import ModelState, Params
from lnmet import model
from lnmet.config import RECIPES, Config
from lnmet.labels import CLASSES
from lnmet.loss import loss
from lnmet.optimizers import nnunet

PEER = "torch_lnmet"
NAMES = {"nodes": EVERYWHERE, "nodes-no-attention": ()}
SMALL = (32, 64, 64)
"""Divisible by the strides of the paper's network, of which the deepest map is 2 × 2 × 2."""
AS_IT_IS = Intensities(low=-1e3, high=1e3, mean=0.0, std=1.0)


def subject(name: str, dtype: str) -> Subject:
    """One recipe with random patches; the attention map is the last channel of its image."""
    cfg = RECIPES[name]
    patch = SMALL if on_cpu() else cfg.data.patch
    cfg = replace(
        cfg,
        data=replace(cfg.data, patch=patch),
        model=replace(cfg.model, dtype=dtype),
        augment=VolumeAugmentConfig(scheme="none"),
    )
    num_classes, num_channels = len(CLASSES[cfg.data.target]), len(cfg.data.phases)
    shape, rng = (cfg.data.batch, *patch), np.random.default_rng(0)
    image = rng.standard_normal((*shape, num_channels), np.float32)
    attention = rng.random((*shape, 1), np.float32)
    label = rng.integers(0, num_classes, shape, np.uint8)
    return Subject(
        f"lnmet/{name} {'×'.join(map(str, patch))} batch {cfg.data.batch}" + suffix(dtype),
        np.concatenate([image, attention], axis=-1),
        label,
        init=lambda key: model.init(
            cfg.model,
            key,
            image.shape,
            num_classes=num_classes,
            intensities=[AS_IT_IS] * num_channels,
        ),
        predict=partial(_predict, cfg, num_classes),
        loss=partial(_loss, cfg, num_classes),
        tx=nnunet(cfg.optim, cfg.run.steps),
        twin=lambda peer, variables: peer.twin(cfg, variables, image, attention, label),
    )


def _predict(
    cfg: Config, num_classes: int, params: Params, state: ModelState, stacked: jax.Array
) -> jax.Array:
    image = model.normalize(state, stacked[..., :-1])
    gate = stacked[..., -1] if cfg.model.attention else None
    return model.apply(cfg.model, params, image, gate, num_classes=num_classes)[0]


def _loss(
    cfg: Config,
    num_classes: int,
    params: Params,
    state: ModelState,
    stacked: jax.Array,
    label: jax.Array,
) -> tuple[jax.Array, Any]:
    batch = {
        "image": stacked[..., :-1],
        "attention": stacked[..., -1],
        "label": label,
        "annotated": jnp.ones((len(label), num_classes), bool),
    }
    # Nothing is drawn without augmentation.
    value, (state, _) = loss(cfg, params, state, batch, jax.random.key(0))
    return value, state
