"""Batch and instance normalization with statistics in float32."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def moments(
    x: Float[Array, "n *s c"], *, per_example: bool = False
) -> tuple[Float[Array, "*e c"], Float[Array, "*e c"]]:
    """Mean and biased variance per channel, over space and (unless per example) batch, in float32.

    σ² = E[(x − a)²] − (μ − a)² in one pass; with a near μ nothing cancels, and neither the value
    nor the gradient depends on a.
    """
    axes = tuple(range(per_example, x.ndim - 1))
    x = x.astype(jnp.float32)
    near = lax.stop_gradient(x[:, :1].mean(axes, keepdims=True))
    shifted = x - near
    mean = shifted.mean(axes)
    var = jnp.maximum((shifted * shifted).mean(axes) - mean * mean, 0.0)
    return mean + near.reshape(mean.shape), var


class BatchNorm(nn.Module):
    """Scale and shift that bring each channel to its learned mean and spread.

    y = (x − μ) / √(σ² + eps) · scale + bias. In training μ and σ² are those of the batch (of the
    global batch under jit and sharding), and the running ones move as momentum · old +
    (1 − momentum) · batch with the biased variance; in evaluation they are the running ones.

    Args:
      eps: added to the variance; PyTorch's unless given.
      momentum: share of the old running statistics that a step keeps; PyTorch's, which calls its
        complement so, unless given.

    Source: Ioffe & Szegedy 2015, Alg. 1 and 2.
    """

    eps: float = 1e-5
    momentum: float = 0.9

    @nn.compact
    def __call__(self, x: Float[Array, "n *s c"], *, train: bool) -> Float[Array, "n *s c"]:
        """Normalize; in training also move the running statistics."""
        scale, bias, mean, var = self.variables_for(x.shape[-1])
        if train:
            batch_mean, batch_var = moments(x)
            if not self.is_initializing():
                mean.value = self.momentum * mean.value + (1 - self.momentum) * batch_mean
                var.value = self.momentum * var.value + (1 - self.momentum) * batch_var
            gain, shift = fold(scale, bias, batch_mean, batch_var, self.eps)
        else:
            gain, shift = fold(scale, bias, mean.value, var.value, self.eps)
        shape = (1,) * (x.ndim - 1) + (x.shape[-1],)
        return (x * gain.reshape(shape) + shift.reshape(shape)).astype(x.dtype)

    def variables_for(self, num_channels: int):
        """Learned scale and bias, and the running mean and variance."""
        scale = self.param("scale", nn.initializers.ones, (num_channels,))
        bias = self.param("bias", nn.initializers.zeros, (num_channels,))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (num_channels,))
        var = self.variable("batch_stats", "var", jnp.ones, (num_channels,))
        return scale, bias, mean, var


class InstanceNorm(nn.Module):
    """Scale and shift that bring each channel of each example to its learned mean and spread.

    y = (x − μ) / √(σ² + eps) · scale + bias, with μ and σ² over the voxels of one example, in
    training and in evaluation.

    Args:
      eps: added to the variance; PyTorch's and nnU-Net's unless given.

    Source: Ulyanov et al. 2016, Eq. 4.
    """

    eps: float = 1e-5

    @nn.compact
    def __call__(self, x: Float[Array, "n *s c"], *, train: bool) -> Float[Array, "n *s c"]:
        """Normalize; `train` changes nothing, and is here to take the place of `BatchNorm`."""
        del train
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],)).reshape(1, -1)
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],)).reshape(1, -1)
        gain, shift = fold(scale, bias, *moments(x, per_example=True), self.eps)
        shape = (len(x), *(1,) * (x.ndim - 2), x.shape[-1])
        return (x * gain.reshape(shape) + shift.reshape(shape)).astype(x.dtype)


def fold(
    scale: jax.Array, bias: jax.Array, mean: jax.Array, var: jax.Array, eps: float
) -> tuple[jax.Array, jax.Array]:
    """The norm as one multiplication and one addition per channel."""
    gain = scale * lax.rsqrt(var + eps)
    return gain, bias - mean * gain
