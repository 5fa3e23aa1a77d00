"""U-Net and Attention U-Net, the two baselines (Sec. 2.4, Table 2).

Five resolutions, two 3 × 3 convolutions at each, nearest-neighbor enlargement and one convolution
on the way up. Sources: Ronneberger et al. 2015, Fig. 1; Oktay et al. 2018, Fig. 2, with the gate at
the skip's resolution.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from core import check
from core.nn.blocks import ConvNormRelu
from core.nn.norm import BatchNorm
from core.nn.pool import max_pool
from core.nn.relu import relu
from eusdaf.config import ModelConfig
from eusdaf.model.layers import conv

NUM_POOLINGS = 4


class UNet(nn.Module):
    """Encoder, decoder and skips; with `attention` a gate on every skip."""

    cfg: ModelConfig

    @nn.compact
    def __call__(
        self, image: Float[Array, "n h w c"], *, train: bool
    ) -> tuple[Float[Array, "n h w 1"]]:
        """One map of logits."""
        check.divisible("image spatial shape", image.shape[1:-1], 2**NUM_POOLINGS, "4 poolings")
        cfg = self.cfg

        def layer(name: str, x: jax.Array, features: int) -> jax.Array:
            convolution = conv(x, features, 3, dtype=cfg.dtype, parent=None)
            return ConvNormRelu(convolution, name=name)(x, train=train)

        def pair(name: str, x: jax.Array, features: int) -> jax.Array:
            return layer(f"{name}b", layer(f"{name}a", x, features), features)

        skips, x = [], image
        for step in range(NUM_POOLINGS):
            skips.append(pair(f"down{step + 1}", x, cfg.width * 2**step))
            x = max_pool(skips[-1], window=2)
        x = pair(f"down{NUM_POOLINGS + 1}", x, cfg.width * 2**NUM_POOLINGS)
        for step in reversed(range(NUM_POOLINGS)):
            features, skip = cfg.width * 2**step, skips[step]
            x = layer(f"enlarge{step + 1}", _double(x), features)
            if cfg.network == "attention-unet":
                gate = Gate(features // 2, cfg.dtype, name=f"gate{step + 1}")
                skip = gate(x, skip, train=train)
            x = pair(f"up{step + 1}", jnp.concatenate([skip, x], axis=-1), features)
        x = x.astype(jnp.float32)
        return (conv(x, 1, 1, name="score")(x),)


class Gate(nn.Module):
    """Weighs the pixels of a skip by how it agrees with the decoder.

    α = σ(ψ(relu(W_g g + W_x x))), W and ψ 1 × 1 convolutions with batch norm; out = α x.
    """

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, decoded: Float[Array, "n h w c"], skip: Float[Array, "n h w c"], *, train: bool
    ) -> Float[Array, "n h w c"]:
        """Gate the skip."""

        def layer(name: str, x: jax.Array, features: int) -> jax.Array:
            x = conv(x, features, 1, dtype=self.dtype, name=f"{name}_conv")(x)
            return BatchNorm(name=f"{name}_norm")(x, train=train)

        agreed = layer("decoded", decoded, self.features) + layer("skip", skip, self.features)
        return skip * jax.nn.sigmoid(layer("psi", relu(agreed), 1))


def _double(x: jax.Array) -> jax.Array:
    """Every pixel becomes a block of 2 × 2."""
    n, height, width, channels = x.shape
    blocks = jnp.broadcast_to(x[:, :, None, :, None], (n, height, 2, width, 2, channels))
    return blocks.reshape(n, 2 * height, 2 * width, channels)
