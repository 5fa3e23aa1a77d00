"""Batch normalization with statistics in float32."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

EPS = 1e-5
MOMENTUM = 0.9


def moments(
    x: Float[Array, "n *s c"],
) -> tuple[Float[Array, "c"], Float[Array, "c"]]:
    """Mean and biased variance per channel, over batch and space, in float32.

    σ² = E[(x − a)²] − (μ − a)² in one pass; with a near μ nothing cancels, and neither the value
    nor the gradient depends on a.
    """
    axes = tuple(range(x.ndim - 1))
    x = x.astype(jnp.float32)
    near = lax.stop_gradient(x[:, :1].mean(axes, keepdims=True))
    shifted = x - near
    mean = shifted.mean(axes)
    var = jnp.maximum((shifted * shifted).mean(axes) - mean * mean, 0.0)
    return mean + near.reshape(-1), var


class BatchNorm(nn.Module):
    """Scale and shift that bring each channel to its learned mean and spread.

    y = (x − μ) / √(σ² + 1e-5) · scale + bias. In training μ and σ² are those of the batch (of the
    global batch under jit and sharding), and the running ones move as 0.9 · old + 0.1 · batch with
    the biased variance; in evaluation they are the running ones.

    Source: Ioffe & Szegedy 2015, Alg. 1 and 2.
    """

    @nn.compact
    def __call__(self, x: Float[Array, "n *s c"], *, train: bool) -> Float[Array, "n *s c"]:
        """Normalize; in training also move the running statistics."""
        scale, bias, mean, var = self.variables_for(x.shape[-1])
        if train:
            batch_mean, batch_var = moments(x)
            if not self.is_initializing():
                mean.value = MOMENTUM * mean.value + (1 - MOMENTUM) * batch_mean
                var.value = MOMENTUM * var.value + (1 - MOMENTUM) * batch_var
            gain, shift = fold(scale, bias, batch_mean, batch_var)
        else:
            gain, shift = fold(scale, bias, mean.value, var.value)
        shape = (1,) * (x.ndim - 1) + (x.shape[-1],)
        return (x * gain.reshape(shape) + shift.reshape(shape)).astype(x.dtype)

    def variables_for(self, num_channels: int):
        """Learned scale and bias, and the running mean and variance."""
        scale = self.param("scale", nn.initializers.ones, (num_channels,))
        bias = self.param("bias", nn.initializers.zeros, (num_channels,))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (num_channels,))
        var = self.variable("batch_stats", "var", jnp.ones, (num_channels,))
        return scale, bias, mean, var


def fold(
    scale: jax.Array, bias: jax.Array, mean: jax.Array, var: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The norm as one multiplication and one addition per channel."""
    gain = scale * lax.rsqrt(var + EPS)
    return gain, bias - mean * gain
