"""Cross-entropy of a node's class (Sec. III-A, stage 2)."""

from functools import partial

import jax
import jax.numpy as jnp

from core.augment.nnunet import nnunet
from core.losses.entropy import cross_entropy
from core.random import stream
from core.types import Batch, Key, Metrics, ModelState, Params, Scalar
from lnmet.identification.config import IdentificationConfig
from lnmet.model import identification, normalize


def loss(
    cfg: IdentificationConfig, params: Params, model_state: ModelState, batch: Batch, key: Key
) -> tuple[Scalar, tuple[ModelState, Metrics]]:
    """Mean cross-entropy of a batch; the node's mask moves with its image.

    Args:
      cfg: network and augmentation.
      params: trainable arrays.
      model_state: intensities of the training set.
      batch: of `lnmet.identification.data.batch_maker`.
      key: of this step.

    Returns:
      Scalar loss, and (model_state, metrics `loss` and `accuracy`).
    """
    image, is_metastatic = normalize(model_state, batch["image"]), batch["metastatic"]
    keys = jax.random.split(stream(key, "augment"), len(is_metastatic))
    augment = partial(nnunet, patch=cfg.data.patch, cfg=cfg.augment)
    image, instance, _ = jax.vmap(augment)(keys, image, batch["instance"], None)
    logits = identification.apply(cfg.model, params, image, instance > 0)
    entropy = jnp.mean(cross_entropy(logits, is_metastatic))
    accuracy = jnp.mean((logits[:, 1] > logits[:, 0]) == (is_metastatic > 0))
    return entropy, (model_state, {"loss": entropy, "accuracy": accuracy})
