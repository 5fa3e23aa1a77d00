"""Cross-entropy of the patient's status, told from each of the patient's pictures."""

import jax.numpy as jnp

from core.losses.entropy import cross_entropy
from core.random import stream
from core.types import Batch, Key, Metrics, ModelState, Params, Scalar
from lnmet.model import status
from lnmet.status.augment import augment, gray, normalize
from lnmet.status.config import StatusConfig


def loss(
    cfg: StatusConfig, params: Params, model_state: ModelState, batch: Batch, key: Key
) -> tuple[Scalar, tuple[ModelState, Metrics]]:
    """Mean cross-entropy of a batch; a picture has the status of its patient (Sec. III-B).

    Args:
      cfg: network and augmentation.
      params: trainable arrays.
      model_state: batch-norm statistics.
      batch: of `lnmet.status.data.batch_maker`.
      key: of this step.

    Returns:
      Scalar loss, and (new model_state, metrics `loss` and `accuracy`).
    """
    phases, mask = augment(
        cfg.augment, stream(key, "augment"), gray(batch["image"], cfg.data), batch["mask"]
    )
    logits, model_state = status.apply(
        cfg.model,
        params,
        model_state,
        normalize(phases, mask, cfg.data),
        mask[..., None].astype(jnp.float32),
        batch["volume_mm3"],
        train=True,
    )
    entropy = jnp.mean(cross_entropy(logits, batch["status"]))
    accuracy = jnp.mean((logits[:, 1] > logits[:, 0]) == (batch["status"] > 0))
    return entropy, (model_state, {"loss": entropy, "accuracy": accuracy})
