"""Cross-entropy of augmented slices, and a penalty on large kernels (Methods, Architectures)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from core.augment.intensity import brightness, contrast
from core.augment.jitter import jitter
from core.losses.entropy import cross_entropy
from core.random import stream
from core.types import Batch, Key, Metrics, ModelState, Params, Scalar
from fee import model
from fee.config import AugmentConfig, Config

STD_EPS = 1e-8
SIZE = 512
"""Side of the slices that the lengths of the augmentation are told for, in pixels."""


def loss(
    cfg: Config, params: Params, model_state: ModelState, batch: Batch, key: Key
) -> tuple[Scalar, tuple[ModelState, Metrics]]:
    """Mean cross-entropy over slices (over pixels for `segment`) + l2 · Σ kernel².

    Args:
      cfg: task, network, augmentation and penalty.
      params: trainable arrays.
      model_state: batch-norm statistics.
      batch: `image` (n, s, s) gray from 0 to 255; for `segment` and `diagnose` `mask` (n, s, s),
        above 0 in the pancreas; for `locate` and `diagnose` `label` (n,) 0 or 1.
      key: of this step.

    Returns:
      Scalar loss, and (new model_state, metrics `loss`, `entropy` without the penalty, `accuracy`
      over slices or pixels).
    """
    mask = batch.get("mask", jnp.zeros_like(batch["image"]))
    image, mask = augment(cfg.augment, stream(key, "augment"), batch["image"], mask)
    label = (mask > 0).astype(jnp.uint8) if cfg.task == "segment" else batch["label"]
    inputs = normalize(fuse(image, mask) if cfg.task == "diagnose" else image)
    logits, model_state = model.apply(
        cfg.model, params, model_state, inputs, train=True, key=stream(key, "dropout")
    )
    entropy = jnp.mean(cross_entropy(logits, label))
    accuracy = jnp.mean((logits[..., 1] > logits[..., 0]) == (label == 1))
    total = entropy + cfg.loss.l2 * sum_of_squares(params)
    return total, (model_state, {"loss": total, "entropy": entropy, "accuracy": accuracy})


def augment(
    cfg: AugmentConfig, key: Key, image: Num[Array, "n s s"], mask: Num[Array, "n s s"]
) -> tuple[Float[Array, "n s s"], Num[Array, "n s s"]]:
    """Change every slice of a batch in its own way, and its mask with it.

    Brightness, contrast, affine with elastic, crop: each by itself in a share of the slices.
    """
    size = image.shape[1]
    scale = size / SIZE

    def augment_slice(key: Key, image: Array, mask: Array) -> tuple[Array, Array]:
        image = brightness(
            stream(key, "brightness"), image, largest=cfg.brightness, probability=cfg.probability
        )
        image = contrast(
            stream(key, "contrast"), image, largest=cfg.contrast, probability=cfg.probability
        )
        return jitter(
            stream(key, "jitter"),
            image,
            mask,
            corners_px=cfg.affine_px * scale,
            reach_px=cfg.elastic_alpha * scale,
            sigma_px=cfg.elastic_sigma_px * scale,
            crop_px=round(cfg.crop_px * scale),
            probability=cfg.probability,
        )

    return jax.vmap(augment_slice)(
        jax.random.split(key, len(image)), image.astype(jnp.float32), mask
    )


def fuse(image: Num[Array, "n h w"], mask: Num[Array, "n h w"]) -> Num[Array, "n h w"]:
    """What the third network sees: the texture of the pancreas on black (Methods, Architectures).

    image · [mask > 0]

    Args:
      image: gray from 0 to 255, not yet z-scored.
      mask: 0 outside the pancreas; a tumor in it counts as pancreas.

    Returns:
      Of the type of the image.
    """
    return jnp.where(mask > 0, image, jnp.zeros((), image.dtype))


def normalize(image: Num[Array, "n h w"]) -> Float[Array, "n h w 1"]:
    """Z-score of every slice by itself, over all of its pixels (Methods, Architectures).

    (x − mean) / (std + 1e-8); a slice of one value becomes 0.

    Args:
      image: gray from 0 to 255; fused ones with all their black.
    """
    image = image.astype(jnp.float32)
    # Of one value, such as all white, nothing is left; the mean alone may be off by a rounding.
    image = image - image.min((1, 2), keepdims=True)
    centered = image - image.mean((1, 2), keepdims=True)
    var = jnp.square(centered).mean((1, 2), keepdims=True)
    return (centered / (jnp.sqrt(var) + STD_EPS))[..., None]


def sum_of_squares(params: Params) -> Scalar:
    """Of all kernels of convolutions and of the linear layer; not of biases and norms."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    kernels = [leaf for path, leaf in leaves if path[-1].key == "kernel"]
    return jnp.sum(jnp.stack([jnp.sum(jnp.square(kernel)) for kernel in kernels]))
