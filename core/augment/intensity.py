"""Brightness and contrast of 8-bit images."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from core import check
from core.random import stream
from core.types import Key

WHITE = 255.0


def brightness(
    key: Key, image: Float[Array, "*s"], *, largest: float, probability: float
) -> Float[Array, "*s"]:
    """Add the same to all pixels, in a share of the draws.

    clip(I + 255 β, 0, 255),  β ~ U(−largest, largest)

    Args:
      key: of this image.
      image: gray from 0 to 255.
      largest: share of white.
      probability: of a change at all.

    Raises:
      ValueError: a share or probability outside [0, 1].

    Source: albumentations 0.4.6, RandomBrightness with brightness_by_max.
    """
    beta = _drawn(key, largest, probability)
    return jnp.clip(image + WHITE * beta, 0, WHITE).astype(image.dtype)


def contrast(
    key: Key, image: Float[Array, "*s"], *, largest: float, probability: float
) -> Float[Array, "*s"]:
    """Scale all pixels by the same, in a share of the draws.

    clip(α I, 0, 255),  α ~ 1 + U(−largest, largest)

    Args:
      key: of this image.
      image: gray from 0 to 255.
      largest: change of the factor.
      probability: of a change at all.

    Raises:
      ValueError: a change or probability outside [0, 1].

    Source: albumentations 0.4.6, RandomContrast.
    """
    alpha = 1 + _drawn(key, largest, probability)
    return jnp.clip(image * alpha, 0, WHITE).astype(image.dtype)


def _drawn(key: Key, largest: float, probability: float) -> Float[Array, ""]:
    """U(−largest, largest), or 0."""
    check.fraction("largest", largest)
    check.fraction("probability", probability)
    drawn = jax.random.uniform(stream(key, "amount"), (), minval=-largest, maxval=largest)
    return jnp.where(jax.random.bernoulli(stream(key, "whether"), probability), drawn, 0.0)
