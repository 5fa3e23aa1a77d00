"""DAF-Net and the two U-Nets on images of 256 × 256."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.subjects import EVERYWHERE, Subject, on_cpu, suffix
from core.losses.overlap import dice_loss
from core.train import optim
from eusdaf import model
from eusdaf.config import ModelConfig

PEER = "torch_eusdaf"
NETWORKS = {
    "daf": ModelConfig(),
    "daf-32x8d": ModelConfig(group_width=8),
    "unet": ModelConfig("unet"),
    "attention-unet": ModelConfig("attention-unet"),
}
NAMES = {"daf": EVERYWHERE, "daf-32x8d": (), "unet": EVERYWHERE, "attention-unet": ()}
SIDE = 256
BATCH = {"daf": 32, "daf-32x8d": 32, "unet": 16, "attention-unet": 16}
"""Two on two cores."""


def subject(name: str, dtype: str) -> Subject:
    """One network with random images and masks."""
    cfg, batch = replace(NETWORKS[name], dtype=dtype), 2 if on_cpu() else BATCH[name]
    rng = np.random.default_rng(0)
    image = rng.standard_normal((batch, SIDE, SIDE, 3), np.float32)
    mask = rng.integers(0, 2, (batch, SIDE, SIDE, 1)).astype(np.float32)
    return Subject(
        f"eusdaf/{name} {SIDE}² width {cfg.width} batch {batch}" + suffix(dtype),
        image,
        mask,
        init=lambda key: model.init(cfg, key, image.shape),
        predict=lambda params, state, x: model.apply(cfg, params, state, x)[0].logits,
        loss=partial(_loss, cfg),
        tx=optim.sgd(0.007, momentum=0.9, weight_decay=0.01),
        twin=lambda peer, variables: peer.twin(cfg, variables, image, mask),
    )


def _loss(
    cfg: ModelConfig, params: Any, state: Any, image: jax.Array, mask: jax.Array
) -> tuple[jax.Array, Any]:
    outputs, state = model.apply(cfg, params, state, image, train=True)
    terms = [jnp.mean(dice_loss(jax.nn.sigmoid(z), mask, smooth=1.0)) for z in outputs.side_logits]
    return jnp.stack(terms).sum(), state
