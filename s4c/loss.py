"""Deeply supervised cross-entropy (Sec. 2.2, Fig. 2)."""

from functools import partial

import jax
import jax.numpy as jnp

from core.augment.spatial import cube_symmetry
from core.datasets.pancreas import IGNORE
from core.losses.entropy import cross_entropy
from core.random import stream
from core.types import Batch, Key, Metrics, ModelState, Params, Scalar
from s4c import model
from s4c.config import Config


def loss(
    cfg: Config, params: Params, model_state: ModelState, batch: Batch, key: Key
) -> tuple[Scalar, tuple[ModelState, Metrics]]:
    """Main cross-entropy plus weighted auxiliary ones, on augmented patches.

    Voxels that nobody annotated count nowhere: means are over the others of the whole batch.

    Args:
      cfg: network, augmentation and loss weights.
      params: trainable arrays.
      model_state: batch-norm statistics.
      batch: `image` (n, d, h, w, 1) normalised, `label` (n, d, h, w) ids.
      key: of this step.

    Returns:
      Scalar loss, and (new model_state, metrics `loss`, `loss_main`).
    """
    image, label = batch["image"], batch["label"]
    if cfg.data.symmetries != "none":
        turn = partial(cube_symmetry, axial=cfg.data.symmetries == "axial")
        keys = jax.random.split(stream(key, "augment"), label.shape[0])
        image, label = jax.vmap(turn)(keys, image, label)
    outputs, model_state = model.apply(cfg.model, params, model_state, image, train=True)

    # Ignored voxels add nothing to the entropy, which is a mean over all.
    num_annotated = jnp.sum(label != IGNORE, dtype=jnp.float32)
    of_annotated = jnp.float32(label.size) / jnp.maximum(num_annotated, 1)

    def entropy(logits: jax.Array) -> Scalar:
        per_example = cross_entropy(logits, label, class_weights=cfg.loss.class_weights)
        return jnp.mean(per_example) * of_annotated

    main, aux = entropy(outputs.main), map(entropy, outputs.aux)
    total = main + sum(w * a for w, a in zip(cfg.loss.aux_weights, aux, strict=True))
    return total, (model_state, {"loss": total, "loss_main": main})
