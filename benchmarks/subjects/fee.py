"""The three networks of FEE-DL on slices of 512 × 512.

Without dropout, which frameworks draw differently, and without the penalty on kernels.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.subjects import EVERYWHERE, Subject, on_cpu, suffix
from core.losses.entropy import cross_entropy
from fee import model
from fee.config import ModelConfig
from fee.recipes import RECIPES

PEER = "torch_fee"
NAMES = {"locate": ("cpu",), "segment": EVERYWHERE, "diagnose": ("cpu",)}


def subject(name: str, dtype: str) -> Subject:
    """One recipe with random slices."""
    cfg = RECIPES[name]
    cfg = replace(cfg, model=replace(cfg.model, dropout=0.0, dtype=dtype))
    batch, size, rng = 2 if on_cpu() else cfg.data.batch, cfg.prepare.size, np.random.default_rng(0)
    image = rng.standard_normal((batch, size, size, 1), np.float32)
    places = image.shape[:3] if name == "segment" else (batch,)
    optim = cfg.optim
    return Subject(
        f"fee/{name} {size}² width {cfg.model.width} batch {batch}" + suffix(dtype),
        image,
        label := rng.integers(0, 2, places, np.int32),
        init=lambda key: model.init(cfg.model, key, image.shape),
        predict=lambda params, state, x: model.apply(cfg.model, params, state, x)[0],
        loss=partial(_loss, cfg.model),
        tx=optax.adam(optim.learning_rate, optim.beta1, optim.beta2, optim.eps),
        twin=lambda peer, variables: peer.twin(cfg, variables, image, label),
    )


def _loss(
    cfg: ModelConfig, params: Any, state: Any, image: jax.Array, label: jax.Array
) -> tuple[jax.Array, Any]:
    # Nothing is drawn without dropout.
    key = jax.random.key(0)
    logits, state = model.apply(cfg, params, state, image, train=True, key=key)
    return jnp.mean(cross_entropy(logits, label)), state
