"""The networks of S4C: ResDSN at three sizes of patch, 3D U-Net and V-Net."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.subjects import EVERYWHERE, Subject, on_cpu, suffix
from core.losses.entropy import cross_entropy
from core.train import optim
from s4c import model
from s4c.config import Config
from s4c.recipes import SEGMENTATION

PEER = "torch_s4c"
BATCH = {"pdac-64": 2, "pdac-32": 8, "pdac-16": 32, "pnet-venous-unet3d": 1, "pnet-venous-vnet": 1}
"""On two cores, of the papers' 16, 32, 128, 16, 16; `tiny-*` as they are."""
NAMES = {
    "pdac-64": EVERYWHERE,
    "pdac-32": (),
    "pdac-16": EVERYWHERE,
    "pnet-venous-unet3d": EVERYWHERE,
    "pnet-venous-vnet": EVERYWHERE,
    **dict.fromkeys((name for name in SEGMENTATION if name.startswith("tiny")), ()),
}
"""Those of the arterial phase are the same networks."""


def subject(name: str, dtype: str) -> Subject:
    """One recipe with random patches."""
    cfg = SEGMENTATION[name]
    batch = BATCH.get(name, cfg.data.batch) if on_cpu() else cfg.data.batch
    model_cfg = replace(cfg.model, dtype=dtype)
    cfg = replace(cfg, data=replace(cfg.data, batch=batch), model=model_cfg)
    side, batch = cfg.data.patch, cfg.data.batch
    rng = np.random.default_rng(0)
    image = rng.standard_normal((batch, side, side, side, 1), np.float32)
    label = rng.integers(0, cfg.model.num_classes, (batch, side, side, side), np.int32)
    return Subject(
        f"s4c/{name} {side}³ width {cfg.model.width} batch {batch}" + suffix(dtype),
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
        twin=lambda peer, variables: peer.twin(cfg, variables, image, label),
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
