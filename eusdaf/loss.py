"""The sum of the Dice losses of all maps, on augmented pictures (Sec. 2.3 and 2.4, Eq. 1 and 2)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from core.augment.warp import warp
from core.losses.overlap import dice_loss
from core.random import stream
from core.types import Batch, Key, Metrics, ModelState, Params, Scalar
from eusdaf import model
from eusdaf.config import Config

IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in [0, 1]: what the encoder's pretrained weights are used to."""


def loss(
    cfg: Config, params: Params, model_state: ModelState, batch: Batch, key: Key
) -> tuple[Scalar, tuple[ModelState, Metrics]]:
    """Dice loss of each map, averaged over pictures, summed over maps with equal weights.

    Every picture has a Dice loss of its own, so that a large lesion does not outweigh a small one.

    Args:
      cfg: network, augmentation and smooth factor.
      params: trainable arrays.
      model_state: batch-norm statistics.
      batch: `image` (n, h, w) gray from 0 to 255, `mask` (n, h, w) 0 or 1.
      key: of this step.

    Returns:
      Scalar loss, and (new model_state, metrics `loss`, `dice_loss` of the answer alone).
    """
    image, mask = augment(cfg, stream(key, "augment"), batch["image"], batch["mask"])
    outputs, model_state = model.apply(cfg.model, params, model_state, normalize(image), train=True)

    def dice(logits: Float[Array, "n h w k"]) -> Float[Array, "k"]:
        truth = jnp.broadcast_to(mask[..., None], logits.shape)
        return jnp.mean(dice_loss(jax.nn.sigmoid(logits), truth, smooth=cfg.loss.smooth), axis=0)

    total = jnp.sum(dice(jnp.concatenate(outputs.side_logits, axis=-1)))
    answer = dice(outputs.logits)[0]
    return total, (model_state, {"loss": total, "dice_loss": answer})


def augment(
    cfg: Config, key: Key, image: Num[Array, "n h w"], mask: Num[Array, "n h w"]
) -> tuple[Float[Array, "n h w"], Num[Array, "n h w"]]:
    """Warp every picture of a batch in its own way; what comes in from outside is black.

    While they are gray: three equal channels would be interpolated three times.
    """
    keys = jax.random.split(key, image.shape[0])

    def warp_picture(key: Key, image: Array, mask: Array) -> tuple[Array, Array]:
        return warp(
            key,
            image[..., None],
            mask,
            degrees=cfg.augment.degrees,
            scales=cfg.augment.scales,
            flip=cfg.augment.flip,
            elastic=cfg.augment.elastic,
            reach_px=cfg.augment.reach_px,
            sigma_px=cfg.augment.sigma_px,
            fill=0.0,
        )

    image, mask = jax.vmap(warp_picture)(keys, image.astype(jnp.float32), mask)
    return image[..., 0], mask


def normalize(image: Num[Array, "n h w"]) -> Float[Array, "n h w 3"]:
    """What the networks see of gray pictures: three channels, as of ImageNet (Ref: the DAF code).

    ( image / 255 − mean ) / sd, per channel

    Args:
      image: gray from 0 to 255.
    """
    mean, sd = (jnp.array(values).reshape(1, 1, 1, 3) for values in (IMAGENET_MEAN, IMAGENET_SD))
    return (image[..., None].astype(jnp.float32) / 255 - mean) / sd
