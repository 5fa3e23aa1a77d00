"""A small 3D network over features of a region of any size, padded or not (PNET Sec. 2.3).

Sizes of regions differ from scan to scan, shapes that are compiled should not: features come
padded, and what lies beyond their size has no part in any convolution, norm or mean.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from core.nn.blocks import Conv, linear
from core.nn.relu import relu
from core.types import Key, Params, Variables
from s4c.classifier.config import ModelConfig

NUM_CLASSES = 2
"""Normal, abnormal."""


def init(cfg: ModelConfig, key: Key, num_channels: int) -> Variables:
    """Draw parameters, {"params": …}.

    Args:
      cfg: the network.
      key: used once.
      num_channels: of the features; 128 of Pool3 at the paper's width.
    """
    features = jax.ShapeDtypeStruct((1, 1, 1, 1, num_channels), jnp.float32)
    return Classifier(cfg).lazy_init(key, features, jax.ShapeDtypeStruct((1, 3), jnp.int32))


def apply(
    cfg: ModelConfig,
    params: Params,
    features: Float[Array, "n d h w c"],
    size: Int32[Array, "n 3"],
) -> Float[Array, "n 2"]:
    """Logits of normal and abnormal, in float32.

    Args:
      cfg: the network.
      params: as `init` gives them.
      features: from index 0 on; what lies beyond `size` does not matter.
      size: (d, h, w) of each region in voxels of the features, at least 1.
    """
    return Classifier(cfg).apply({"params": params}, features, size)  # type: ignore[return-value]


class Classifier(nn.Module):
    """Convolution, group norm and ReLU, twice; the mean over the region; a linear layer."""

    cfg: ModelConfig

    @nn.compact
    def __call__(
        self, features: Float[Array, "n d h w c"], size: Int32[Array, "n 3"]
    ) -> Float[Array, "n 2"]:
        """Logits."""
        cfg = self.cfg
        mask = inside(size, features.shape[1:4])
        x = jnp.where(mask, features, 0)
        for number in (1, 2):
            conv, norm = f"conv{number}", f"norm{number}"
            x = Conv(cfg.width, (3, 3, 3), padding=1, use_bias=False, dtype=cfg.dtype, name=conv)(x)
            x = GroupNorm(cfg.groups, name=norm)(x, mask)
            # Zeros again: the next convolution sees beyond the region what it would at a border.
            x = jnp.where(mask, relu(x), 0)
        num_voxels = jnp.prod(size, axis=1, dtype=jnp.float32)
        mean = x.astype(jnp.float32).sum((1, 2, 3)) / num_voxels[:, None]
        return linear(mean, NUM_CLASSES, name="score")


class GroupNorm(nn.Module):
    """Scale and shift that bring each group of channels of an example to one mean and spread.

    y = (x − μ) / √(σ² + eps) · scale + bias, with μ and σ² over the channels of a group and the
    voxels of the mask, in float32.

    Args:
      groups: of equally many neighboring channels.
      eps: added to the variance; PyTorch's unless given.

    Source: Wu & He 2018, Eq. 1 and 7.
    """

    groups: int
    eps: float = 1e-5

    @nn.compact
    def __call__(
        self, x: Float[Array, "n d h w c"], mask: Bool[Array, "n d h w 1"]
    ) -> Float[Array, "n d h w c"]:
        """Normalize; what lies beyond the mask becomes anything finite."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        grouped = x.astype(jnp.float32).reshape(*x.shape[:-1], self.groups, -1)
        within = mask[..., None]
        num_values = mask.sum((1, 2, 3, 4), dtype=jnp.float32) * grouped.shape[-1]

        def mean(values: jax.Array) -> jax.Array:
            total = jnp.where(within, values, 0).sum((1, 2, 3, 5), keepdims=True)
            return total / num_values.reshape(-1, *(1,) * 5)

        centered = grouped - mean(grouped)
        normal = centered * jax.lax.rsqrt(mean(centered * centered) + self.eps)
        of_channel = (1,) * (x.ndim - 1) + (-1,)
        y = normal.reshape(x.shape) * scale.reshape(of_channel) + bias.reshape(of_channel)
        return y.astype(x.dtype)


def inside(size: Int32[Array, "n 3"], shape: Sequence[Any]) -> Bool[Array, "n d h w 1"]:
    """Where an index (d, h, w) of an array of this shape, known or not, lies below each size."""
    d, h, w = (
        jnp.arange(length)[None, :] < size[:, axis][:, None] for axis, length in enumerate(shape)
    )
    return (d[:, :, None, None] & h[:, None, :, None] & w[:, None, None, :])[..., None]
