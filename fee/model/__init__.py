"""The three networks behind two pure functions, `init` and `apply`."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from core import check
from core.nn.norm import BatchNorm
from core.nn.resnet import Classifier, ResNet
from core.types import Key, ModelState, Params, Variables
from fee.config import ModelConfig
from fee.model.unet import UNet

NUM_CLASSES = 2


def init(cfg: ModelConfig, key: Key, shape: tuple[int, ...]) -> Variables:
    """Draw parameters and fresh batch-norm statistics.

    Args:
      cfg: the network.
      key: used once.
      shape: of a batch of slices, (n, h, w, 1); traced, not computed on.

    Returns:
      {"params": …, "batch_stats": …}.
    """
    params, dropout = jax.random.split(key)
    keys = {"params": params, "dropout": dropout}
    return _network(cfg).lazy_init(keys, jax.ShapeDtypeStruct(shape, jnp.float32), train=True)


def apply(
    cfg: ModelConfig,
    params: Params,
    model_state: ModelState,
    image: Float[Array, "n h w 1"],
    *,
    train: bool = False,
    key: Key | None = None,
) -> tuple[Float[Array, "n *s 2"], ModelState]:
    """Logits of a batch of slices, and the batch-norm statistics after it.

    Args:
      cfg: the network.
      params: as `init` gives them.
      model_state: {"batch_stats": …}.
      image: z-scores (`fee.loss.normalize`); for the U-Net each size is divisible by 16.
      train: drop features, use batch statistics and move the running ones.
      key: of the dropout; wanted in training unless its rate is 0.

    Returns:
      Float32 logits, (n, 2) of a ResNet and (n, h, w, 2) of a U-Net, class 1 the pancreas or the
      tumor; and the model state (unchanged in evaluation).

    Raises:
      ValueError: not a batch of images, sizes that four poolings do not divide, or no key.
    """
    check.rank("image", image, 4)
    variables, network = {"params": params, **model_state}, _network(cfg)
    if not train:
        logits: Any = network.apply(variables, image, train=False)
        return logits, model_state
    if key is None and cfg.dropout:
        raise ValueError(f"training with dropout={cfg.dropout} needs a key; got None")
    rngs = {} if key is None else {"dropout": key}
    return network.apply(variables, image, train=True, rngs=rngs, mutable=list(model_state))


def _network(cfg: ModelConfig) -> nn.Module:
    norm = partial(BatchNorm, eps=cfg.norm_eps, momentum=cfg.norm_momentum)
    if cfg.network == "unet":
        return UNet(cfg, norm)
    trunk = ResNet("basic", cfg.blocks, width=cfg.width, norm=norm, dtype=cfg.dtype, parent=None)
    return Classifier(trunk, NUM_CLASSES, dropout=cfg.dropout)
