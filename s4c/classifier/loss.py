"""Cross-entropy of a scan's class (PNET Sec. 2.3)."""

import jax.numpy as jnp

from core.losses.entropy import cross_entropy
from core.types import Batch, Key, Metrics, ModelState, Params, Scalar
from s4c.classifier.config import ClassifierConfig
from s4c.model import classifier


def loss(
    cfg: ClassifierConfig, params: Params, model_state: ModelState, batch: Batch, key: Key
) -> tuple[Scalar, tuple[ModelState, Metrics]]:
    """Mean cross-entropy of a batch.

    Args:
      cfg: the network.
      params: trainable arrays.
      model_state: {}.
      batch: of `s4c.classifier.data.batch_maker`.
      key: of this step; nothing is random.

    Returns:
      Scalar loss, and (model_state, metrics `loss` and `accuracy`).
    """
    del key
    logits = classifier.apply(cfg.model, params, batch["features"], batch["size"])
    entropy = jnp.mean(cross_entropy(logits, batch["abnormal"]))
    accuracy = jnp.mean((logits[:, 1] > logits[:, 0]) == (batch["abnormal"] > 0))
    return entropy, (model_state, {"loss": entropy, "accuracy": accuracy})
