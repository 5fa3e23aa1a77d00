"""3 × 3 × 3 convolution on CPU, stride 2, padding 1: what halves the grid in an nnU-Net.

The three slices that an output slice sees lie side by side in the channels, so that it is one 2D
convolution with stride 2. Of the image's gradient the even slices come from one output slice, the
odd ones from two,

  ∂x[2 m]     = ∂y[m] k[1]
  ∂x[2 m + 1] = ∂y[m] k[2] + ∂y[m + 1] k[0]

each the gradient of a 2D convolution with stride 2.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from core.nn.cpu import conv2d_stride2


def convolve(
    image: Float[Array, "n d h w i"], kernel: Float[Array, "3 3 3 i o"]
) -> Float[Array, "n p q r o"]:
    """Cross-correlation with stride 2 and zero padding 1."""
    out = conv2d_stride2.convolve(_seen(image), jnp.concatenate(list(kernel), axis=2))
    return out.reshape(len(image), -1, *out.shape[1:])


def input_gradient(
    kernel: Float[Array, "3 3 3 i o"], grad: Float[Array, "n p q r o"], size: Sequence[int]
) -> Float[Array, "n d h w i"]:
    """Gradient of `convolve` with respect to its image of `size` voxels per axis."""
    n, slices, *_ = grad.shape
    after = jnp.pad(grad[:, 1:], ((0, 0), (0, 1), *[(0, 0)] * 3))
    two = jnp.concatenate([grad, after], axis=-1)
    two_taps = jnp.concatenate([kernel[2], kernel[0]], axis=-1)
    even = conv2d_stride2.input_gradient(kernel[1], _images(grad), size[1:])
    odd = conv2d_stride2.input_gradient(two_taps, _images(two), size[1:])
    pairs = jnp.stack([even, odd], axis=1)
    return pairs.reshape(n, 2 * slices, *pairs.shape[2:])[:, : size[0]]


def kernel_gradient(
    image: Float[Array, "n d h w i"], grad: Float[Array, "n p q r o"]
) -> Float[Array, "3 3 3 i o"]:
    """Gradient of `convolve` with respect to its kernel, summed in float32."""
    taps = conv2d_stride2.kernel_gradient(_seen(image), _images(grad))
    return taps.reshape(3, 3, 3, image.shape[-1], -1).transpose(2, 0, 1, 3, 4)


def _seen(image: jax.Array) -> jax.Array:
    """The slices 2 m - 1, 2 m, 2 m + 1 in the channels, as images: (n · p, h, w, 3 i)."""
    last = 2 * (-(-image.shape[1] // 2)) - 1
    padded = jnp.pad(image, ((0, 0), (1, 1), *[(0, 0)] * 3))
    return _images(jnp.concatenate([padded[:, a : a + last : 2] for a in range(3)], axis=-1))


def _images(volume: jax.Array) -> jax.Array:
    return volume.reshape(-1, *volume.shape[2:])
