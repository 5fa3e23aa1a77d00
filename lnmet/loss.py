"""Cross-entropy and Tversky loss at every resolution of the decoder (Sec. III-A, Eqs. 3–4)."""

from collections.abc import Sequence
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from core.augment.nnunet import nnunet
from core.losses.overlap import tversky_loss
from core.nn.strided import every
from core.random import stream
from core.types import Batch, Key, Metrics, ModelState, Params, Scalar
from lnmet import model
from lnmet.config import Config, LossConfig
from lnmet.labels import CLASSES, IGNORE

EXCLUDED = -1e9
"""Logit of a class that is part of the background of a case."""


def loss(
    cfg: Config, params: Params, model_state: ModelState, batch: Batch, key: Key
) -> tuple[Scalar, tuple[ModelState, Metrics]]:
    """Mean loss of a batch, every resolution with its weight.

    Args:
      cfg: network and loss.
      params: trainable arrays.
      model_state: intensities of the training set.
      batch: of `lnmet.data.batch_maker`.
      key: of this step.

    Returns:
      Scalar loss, and (model_state, metrics `loss`, `loss_entropy`, `loss_overlap`).
    """
    image, label = model.normalize(model_state, batch["image"]), batch["label"]
    gate = batch["attention"].astype(jnp.float32) if cfg.model.attention else None
    keys = jax.random.split(stream(key, "augment"), label.shape[0])
    augment = partial(nnunet, patch=cfg.data.patch, cfg=cfg.augment)
    image, label, gate = jax.vmap(augment)(keys, image, label, gate)
    outputs = model.apply(
        cfg.model,
        params,
        image,
        gate,
        num_classes=len(CLASSES[cfg.data.target]),
        deep=True,
    )
    entropy, overlap = jnp.float32(0), jnp.float32(0)
    for weight, logits in zip(resolution_weights(len(outputs)), outputs, strict=True):
        if weight:
            terms = terms_of(cfg.loss, logits, at_resolution(label, logits), batch["annotated"])
            entropy, overlap = entropy + weight * terms[0], overlap + weight * terms[1]
    total = entropy + overlap
    return total, (model_state, {"loss": total, "loss_entropy": entropy, "loss_overlap": overlap})


def resolution_weights(num: int) -> Sequence[float]:
    """1, ½, ¼, … and 0 for the lowest of several resolutions; they sum to 1 (Ref: nnU-Net)."""
    weights = [0.5**s for s in range(num)]
    if num > 1:
        weights[-1] = 0.0
    return [weight / sum(weights) for weight in weights]


def at_resolution(
    label: Integer[Array, "n _ _ _"], logits: Float[Array, "n d h w k"]
) -> Integer[Array, "n d h w"]:
    """Classes on the grid of an output, each of the voxel nearest to the middle of its block."""
    for axis in (1, 2, 3):
        factor = label.shape[axis] // logits.shape[axis]
        label = every(label, factor, axis=axis, start=factor // 2)
    return label


def terms_of(
    cfg: LossConfig,
    logits: Float[Array, "n d h w k"],
    label: Integer[Array, "n d h w"],
    annotated: Bool[Array, "n k"],
) -> tuple[Scalar, Scalar]:
    """Cross-entropy and overlap loss of one resolution, means over the examples.

    A class that an example is not annotated with counts as part of its background: its probability
    is added to the background's. Voxels to ignore count nowhere.

    Class by class on whole maps, as `core.losses.entropy`, with one softmax for both terms: at
    32 × 48 × 56 with eleven classes, forward and backward on two CPU cores take 13 ms and 11 MiB,
    where arrays with a class axis take 25 ms and 59 MiB.
    """
    scores = [logits[..., k] for k in range(logits.shape[-1])]
    if len(scores) > 2:  # of two classes both are annotated
        scores = with_background(scores, annotated)
    top = _top(scores)
    shifted = [z - top for z in scores]
    exponentials = [jnp.exp(z) for z in shifted]
    total = sum(exponentials)
    valid, log_total = label != IGNORE, jnp.log(total)
    terms = [jnp.where(label == k, log_total - z, 0.0) for k, z in enumerate(shifted)]
    share = jnp.mean(valid.astype(jnp.float32), axis=(1, 2, 3))
    # The entropy is a mean over all voxels, to which ignored ones add nothing.
    entropy = jnp.mean(sum(terms), axis=(1, 2, 3)) / jnp.maximum(share, 1e-6)
    overlap = _overlap(cfg, [e / total * valid for e in exponentials], label)
    counts = annotated[:, 1:].astype(jnp.float32)
    per_example = jnp.sum(overlap * counts, axis=1) / jnp.maximum(jnp.sum(counts, axis=1), 1)
    return jnp.mean(entropy), jnp.mean(per_example)


def _overlap(
    cfg: LossConfig, probs: Sequence[Float[Array, "n d h w"]], label: Integer[Array, "n d h w"]
) -> Float[Array, "n _"]:
    """Overlap loss of each class but the background."""
    of = partial(
        tversky_loss,
        alpha=cfg.false_positives,
        beta=cfg.false_negatives,
        smooth=cfg.smooth,
    )
    foreground = list(enumerate(probs))[1:]
    return jnp.concatenate([of(p[..., None], (label == k)[..., None]) for k, p in foreground], 1)


def with_background(
    scores: Sequence[Float[Array, "n d h w"]], annotated: Bool[Array, "n k"]
) -> list[Float[Array, "n d h w"]]:
    """Logits whose softmax gives the background what classes without annotation had."""
    background, *others = scores
    # The background itself is always annotated.
    owned = [annotated[:, k, None, None, None] for k in range(1, len(scores))]
    pairs = list(zip(owned, others, strict=True))
    outside = [background, *(jnp.where(own, EXCLUDED, z) for own, z in pairs)]
    top = _top(outside)
    background = top + jnp.log(sum(jnp.exp(z - top) for z in outside))
    return [background, *(jnp.where(own, z, EXCLUDED) for own, z in pairs)]


def _top(scores: Sequence[jax.Array]) -> jax.Array:
    """The largest of each voxel, a constant to gradients: losses do not depend on it."""
    return jax.lax.stop_gradient(reduce(jnp.maximum, scores))
