"""Initializers that the papers and their frameworks used; each says what it draws from."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax.linen import initializers
from flax.typing import Initializer
from jax.typing import DTypeLike

from core.types import Key

he_normal_fan_in = initializers.variance_scaling(2.0, "fan_in", "normal")
"""N(0, 2 / fan_in); fan_in = kernel volume × input channels. Source: He et al. 2015, Eq. 10."""

_LEAKY_GAIN = 2 / (1 + 0.01**2)

he_normal_leaky = initializers.variance_scaling(_LEAKY_GAIN, "fan_in", "normal")
"""N(0, 2 / (1 + 0.01²) / fan_in), for layers before a leaky ReLU of slope 0.01."""

he_normal_leaky_transposed = initializers.variance_scaling(_LEAKY_GAIN, "fan_out", "normal")
"""The same as PyTorch draws it for transposed convolutions: over kernel volume × output channels,
which it takes for their fan_in."""

score_normal = initializers.normal(stddev=0.01)
"""N(0, 0.01²), for layers that put out logits."""

he_normal_fan_out = initializers.variance_scaling(2.0, "fan_out", "normal")
"""N(0, 2 / fan_out); fan_out = kernel volume × output channels. Source: He et al. 2015, Eq. 14."""

uniform_fan_in = initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""U(-1/√fan_in, 1/√fan_in), what PyTorch draws the kernels of its convolutions from."""


def symmetric_uniform(bound: float) -> Initializer:
    """U(-bound, bound); with bound 1/√fan_in what PyTorch draws biases from."""

    def draw(key: Key, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return draw
