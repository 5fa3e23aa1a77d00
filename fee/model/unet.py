"""U-Net32 (Methods, Architectures; Fig. 4B): four steps down, four steps up, two 1 × 1 kernels.

A step down is a block, pooling, dropout; a step up a transposed convolution, the skip beside it,
dropout, a block. The transposed convolutions have the geometry of Keras' "same".
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from core import check
from core.nn.blocks import Conv, ConvNormRelu, ConvTranspose
from core.nn.dropout import Dropout
from core.nn.norm import BatchNorm
from core.nn.pool import max_pool
from fee.config import ModelConfig

NUM_POOLINGS = 4


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
