"""3 × 1 × 1 convolution on CPU, stride 1: three neighbors in the channels and a matrix product."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from core.nn.cpu import conv_pointwise
from core.nn.cpu.conv2d import shifted

_STRIDES = (1, 1, 1)


def convolve(
    image: Float[Array, "n d h w i"], kernel: Float[Array, "3 1 1 i o"]
) -> Float[Array, "n d h w o"]:
    """Cross-correlation with stride 1 and zero padding 1 along depth."""
    return conv_pointwise.convolve(shifted(image, axis=1), _flat(kernel), strides=_STRIDES)


def input_gradient(
    kernel: Float[Array, "3 1 1 i o"], grad: Float[Array, "n d h w o"]
) -> Float[Array, "n d h w i"]:
    """Gradient of `convolve` with respect to its image."""
    return convolve(grad, jnp.flip(kernel, 0).swapaxes(3, 4))


def kernel_gradient(
    image: Float[Array, "n d h w i"], grad: Float[Array, "n d h w o"]
) -> Float[Array, "3 1 1 i o"]:
    """Gradient of `convolve` with respect to its kernel, summed in float32."""
    flat = conv_pointwise.kernel_gradient(shifted(image, axis=1), grad, strides=_STRIDES)
    return flat.reshape(3, 1, 1, image.shape[-1], grad.shape[-1])


def _flat(kernel: jax.Array) -> jax.Array:
    return kernel.reshape(1, 1, 1, -1, kernel.shape[-1])
