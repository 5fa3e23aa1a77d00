"""Linen layers over `core.nn.conv`: parameters and dtype here, arithmetic there."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype, Initializer
from jaxtyping import Array, Float

from core.nn import conv as kernels
from core.nn.conv import PerAxis
from core.nn.init import he_normal_fan_in, symmetric_uniform, uniform_fan_in
from core.nn.norm import BatchNorm
from core.nn.relu import relu


class Conv(nn.Module):
    """Convolution with symmetric zero padding.

    Args:
      features: output channels.
      kernel_size: voxels per axis; its length is the number of spatial axes.
      padding: zeros on both sides, for all axes or per axis.
      stride: voxels between outputs, for all axes or per axis.
    """

    features: int
    kernel_size: Sequence[int]
    padding: PerAxis
    stride: PerAxis = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer = he_normal_fan_in
    bias_init: Initializer = nn.initializers.zeros
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n *s i"]) -> Float[Array, "n *t o"]:
        """Convolve in `dtype`; parameters stay float32."""
        shape = (*self.kernel_size, x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape).astype(self.dtype)
        x = kernels.conv(
            x.astype(self.dtype),
            kernel,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups,
        )
        return _add_bias(self, x, self.bias_init) if self.use_bias else x


class ConvTranspose(nn.Module):
    """Transposed convolution that enlarges each axis by `stride`, for all axes or per axis."""

    features: int
    kernel_size: Sequence[int]
    stride: PerAxis = 2
    use_bias: bool = True
    kernel_init: Initializer = he_normal_fan_in
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n *s i"]) -> Float[Array, "n *t o"]:
        """Convolve in `dtype`; parameters stay float32."""
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape).astype(self.dtype)
        x = kernels.conv_transpose(x.astype(self.dtype), kernel, stride=self.stride)
        return _add_bias(self, x) if self.use_bias else x


class ConvNormActivation(nn.Module):
    """A convolution (or a transposed one), a norm, an activation.

    Args:
      conv: without its parent.
      norm: makes the norm; `partial(BatchNorm, eps=…, momentum=…)` where PyTorch's do not fit, or
        `InstanceNorm`.
      activation: such as `jax.nn.leaky_relu`, whose slope is 0.01.
    """

    conv: Conv | ConvTranspose
    norm: Callable[..., nn.Module] = BatchNorm
    activation: Callable[[jax.Array], jax.Array] = relu

    @nn.compact
    def __call__(self, x: Float[Array, "n *s i"], *, train: bool) -> Float[Array, "n *t o"]:
        """Convolve, normalize, activate."""
        return self.activation(self.norm(name="norm")(self.conv(x), train=train))


ConvNormRelu = ConvNormActivation
"""With its defaults, as the papers' networks have it."""


class PRelu(nn.Module):
    """x where positive, slope · x elsewhere; slopes are learned, 0.25 at the start.

    Args:
      per_channel: whether each channel has a slope of its own, or all share one.

    Source: He et al. 2015, Eq. 1.
    """

    per_channel: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "n *s c"]) -> Float[Array, "n *s c"]:
        """Rectify."""
        num = x.shape[-1] if self.per_channel else 1
        slope = self.param("slope", nn.initializers.constant(0.25), (num,)).astype(x.dtype)
        return jnp.where(x > 0, x, slope.reshape((1,) * (x.ndim - 1) + (num,)) * x)


def linear(x: Float[Array, "n i"], features: int, *, name: str) -> Float[Array, "n o"]:
    """A linear layer that starts as PyTorch's, U(±1/√i), inside a compact method."""
    bias_init = symmetric_uniform(x.shape[-1] ** -0.5)
    return nn.Dense(features, kernel_init=uniform_fan_in, bias_init=bias_init, name=name)(x)


def _add_bias(
    module: nn.Module, x: jax.Array, bias_init: Initializer = nn.initializers.zeros
) -> jax.Array:
    bias = module.param("bias", bias_init, (x.shape[-1],))
    return x + bias.astype(x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))
