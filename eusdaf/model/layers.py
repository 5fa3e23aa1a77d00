"""Layers that the decoder of DAF-Net and the baselines are made of; all convolutions have bias."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from core.nn.blocks import Conv
from core.nn.init import symmetric_uniform, uniform_fan_in
from core.nn.norm import BatchNorm

Init = Literal["default", "uniform01"]


def conv(x: jax.Array, features: int, size: int, *, init: Init = "default", **options) -> Conv:
    """A convolution for `x` that keeps its grid, with weights and biases drawn as `init` says."""
    if init == "uniform01":
        kernel_init = bias_init = nn.initializers.uniform(1.0)
    else:
        kernel_init = uniform_fan_in
        bias_init = symmetric_uniform((size * size * x.shape[-1]) ** -0.5)
    return Conv(
        features,
        (size, size),
        padding=size // 2,
        kernel_init=kernel_init,
        bias_init=bias_init,
        **options,
    )


class PRelu(nn.Module):
    """x where positive, slope · x elsewhere; one learned slope, 0.25 at the start.

    Source: He et al. 2015, Eq. 1, shared by all channels.
    """

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        """Rectify."""
        slope = self.param("slope", nn.initializers.constant(0.25), (1,)).astype(x.dtype)
        return jnp.where(x > 0, x, slope.reshape(1, 1, 1, 1) * x)


class ConvNormPRelu(nn.Module):
    """A convolution that keeps the grid, batch norm, PReLU."""

    features: int
    size: int
    weights: Init = "default"
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"], *, train: bool) -> Float[Array, "n h w o"]:
        """Convolve, normalize, rectify."""
        x = conv(x, self.features, self.size, init=self.weights, dtype=self.dtype, name="conv")(x)
        return PRelu(name="prelu")(BatchNorm(name="norm")(x, train=train))
