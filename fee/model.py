"""The three networks behind two pure functions, `init` and `apply`.

U-Net32 (Methods, Architectures; Fig. 4B): four steps down, four steps up, two 1 × 1 kernels. A step
down is a block, pooling, dropout; a step up a transposed convolution, the skip beside it, dropout,
a block. The transposed convolutions have the geometry of Keras' "same".
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from core import check
from core.nn import functional
from core.nn.blocks import Conv, ConvNormRelu, ConvTranspose
from core.nn.dropout import Dropout
from core.nn.norm import BatchNorm
from core.nn.pool import max_pool
from core.nn.resnet import Classifier, ResNet
from core.types import Key, ModelState, Params, Variables
from fee.config import ModelConfig

NUM_CLASSES = 2
NUM_POOLINGS = 4
TRUNK = "trunk"
"""Of a ResNet: what weights of ImageNet fit."""


def init(cfg: ModelConfig, key: Key, shape: tuple[int, ...]) -> Variables:
    """Variables of the network for slices of a shape, (n, h, w, 1); see `functional.init`."""
    params, dropout = jax.random.split(key)
    return functional.init(_network(cfg), {"params": params, "dropout": dropout}, shape)


def apply(
    cfg: ModelConfig,
    params: Params,
    model_state: ModelState,
    image: Float[Array, "n *hw 1"],
    *,
    train: bool = False,
    key: Key | None = None,
) -> tuple[Float[Array, "n *s 2"], ModelState]:
    """Logits of a batch of slices, and the batch-norm statistics after it.

    Args:
      cfg: the network.
      params: as `init` gives them.
      model_state: {"batch_stats": …}.
      image: z-scores (`fee.loss.normalize`) (n, h, w, 1); a U-Net wants sizes divisible by 16.
      train: drop features, use batch statistics and move the running ones.
      key: of the dropout; wanted in training unless its rate is 0.

    Returns:
      Float32 logits, (n, 2) of a ResNet and (n, h, w, 2) of a U-Net, class 1 the pancreas or the
      tumor; and the model state (unchanged in evaluation).

    Raises:
      ValueError: not a batch of images, sizes that four poolings do not divide, or no key.
    """
    check.rank("image", image, 4)
    if train and key is None and cfg.dropout:
        raise ValueError(f"training with dropout={cfg.dropout} needs a key; got None")
    rngs = {} if key is None else {"dropout": key}
    network = _network(cfg)
    return functional.apply(network, params, model_state, image, train=train, rngs=rngs)


def _network(cfg: ModelConfig) -> nn.Module:
    norm = partial(BatchNorm, eps=cfg.norm_eps, momentum=cfg.norm_momentum)
    if cfg.network == "unet":
        return UNet(cfg, norm)
    trunk = ResNet("basic", cfg.blocks, width=cfg.width, norm=norm, dtype=cfg.dtype, parent=None)
    return Classifier(trunk, NUM_CLASSES, dropout=cfg.dropout)


class UNet(nn.Module):
    """Encoder, decoder and skips; every convolution has a bias.

    Args:
      cfg: width, convolutions of a block, whether there is a block in the middle, and dropout.
      norm: makes every norm.
    """

    cfg: ModelConfig
    norm: Callable[..., BatchNorm]

    @nn.compact
    def __call__(self, image: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n h w 2"]:
        """Logits of background and pancreas."""
        check.divisible("image spatial shape", image.shape[1:-1], 2**NUM_POOLINGS, "4 poolings")
        cfg = self.cfg

        def block(name: str, x: jax.Array, features: int) -> jax.Array:
            for number in range(cfg.convs):
                made = Conv(features, (3, 3), padding=1, dtype=cfg.dtype, parent=None)
                x = ConvNormRelu(made, self.norm, name=f"{name}_{number + 1}")(x, train=train)
            return x

        def dropped(x: jax.Array) -> jax.Array:
            return Dropout(cfg.dropout, deterministic=not train)(x)

        skips, x = [], image
        for step in range(NUM_POOLINGS):
            skips.append(block(f"down{step + 1}", x, cfg.width * 2**step))
            x = dropped(max_pool(skips[-1], window=2))
        if cfg.middle:
            x = block("middle", x, cfg.width * 2**NUM_POOLINGS)
        for step in reversed(range(NUM_POOLINGS)):
            features = cfg.width * 2**step
            enlarged = ConvTranspose(features, (3, 3), dtype=cfg.dtype, name=f"enlarge{step + 1}")
            x = dropped(jnp.concatenate([skips[step], enlarged(x)], axis=-1))
            x = block(f"up{step + 1}", x, features)
        return Conv(2, (1, 1), padding=0, name="score")(x.astype(jnp.float32))
