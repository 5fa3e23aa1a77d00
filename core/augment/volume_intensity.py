"""Noise, brightness, contrast and gamma of a volume, each at given numbers per channel."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from core.types import Key

SPACE = (0, 1, 2)
SMALLEST = 1e-7
"""Ranges and deviations below it count as this."""


def noisy(
    key: Key, image: Float[Array, "d h w c"], std: Float[Array, ""]
) -> Float[Array, "d h w c"]:
    """The image with independent Gaussian noise of the given standard deviation added."""
    return image + std * jax.random.normal(key, image.shape)


def brightened(
    image: Float[Array, "d h w c"], factor: Float[Array, "c"]
) -> Float[Array, "d h w c"]:
    """Every channel times its factor."""
    return image * factor[None, None, None]


def contrasted(
    image: Float[Array, "d h w c"], factor: Float[Array, "c"]
) -> Float[Array, "d h w c"]:
    """Distances from the channel's mean m times its factor, kept in the channel's range.

    clip(m + f (x − m), min x, max x)
    """
    mean = jnp.mean(image, SPACE, keepdims=True)
    spread = mean + factor[None, None, None] * (image - mean)
    return jnp.clip(
        spread, jnp.min(image, SPACE, keepdims=True), jnp.max(image, SPACE, keepdims=True)
    )


def powered(image: Float[Array, "d h w c"], gamma: Float[Array, "c"]) -> Float[Array, "d h w c"]:
    """A power of the channel scaled to [0, 1]; its range, then its mean and deviation restored.

    A channel that is the same everywhere stays as it is.

    Args:
      image: voxels of any range; the negative image, negated afterwards, for nnU-Net's inverted
        form.
      gamma: exponent of each channel.

    Source: nnU-Net 2, GammaTransform of batchgeneratorsv2.
    """
    low, high = (f(image, SPACE, keepdims=True) for f in (jnp.min, jnp.max))
    share = (image - low) / jnp.maximum(high - low, SMALLEST)
    changed = share ** gamma[None, None, None] * (high - low) + low
    mean, std = jnp.mean(image, SPACE, keepdims=True), jnp.std(image, SPACE, keepdims=True)
    std_now = jnp.std(changed, SPACE, keepdims=True)
    centered = changed - jnp.mean(changed, SPACE, keepdims=True)
    return centered * (std / jnp.maximum(std_now, SMALLEST)) + mean
