"""3 × 3 convolution of images on CPU, stride 2, padding 1: what halves the grid in a ResNet.

XLA's value is fast, its gradients are not. Around the corner between four outputs the gradient of
2 × 2 inputs comes from 2 × 2 outputs,

  ∂x[2 m]     = ∂y[m] k[1]
  ∂x[2 m + 1] = ∂y[m] k[2] + ∂y[m + 1] k[0]

along each axis: one convolution with 2 × 2 taps and four times the channels.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

_NHWC = ("NHWC", "HWIO", "NHWC")


def convolve(
    image: Float[Array, "n h w i"], kernel: Float[Array, "3 3 i o"]
) -> Float[Array, "n p q o"]:
    """Cross-correlation with stride 2 and zero padding 1."""
    return lax.conv_general_dilated(
        image, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=_NHWC
    )


def input_gradient(
    kernel: Float[Array, "3 3 i o"], grad: Float[Array, "n p q o"], size: Sequence[int]
) -> Float[Array, "n h w i"]:
    """Gradient of `convolve` with respect to its image of `size` rows and columns."""
    n, rows, columns, _ = grad.shape
    in_channels, out_channels = kernel.shape[2:]
    # Along an axis (m, m + 1) × (2 m, 2 m + 1): the taps [[1, 2], [none, 0]].
    padded = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
    taps = jnp.array([[1, 2], [3, 0]])
    corners = padded[taps[:, None, :, None], taps[None, :, None, :]]  # (m, m, p, p, i, o)
    corners = corners.transpose(0, 1, 5, 2, 3, 4).reshape(2, 2, out_channels, 4 * in_channels)
    out = lax.conv_general_dilated(grad, corners, (1, 1), ((0, 1), (0, 1)), dimension_numbers=_NHWC)
    blocks = out.reshape(n, rows, columns, 2, 2, in_channels).transpose(0, 1, 3, 2, 4, 5)
    height, width = size
    return blocks.reshape(n, 2 * rows, 2 * columns, in_channels)[:, :height, :width]


def kernel_gradient(
    image: Float[Array, "n h w i"], grad: Float[Array, "n p q o"]
) -> Float[Array, "3 3 i o"]:
    """Gradient of `convolve` with respect to its kernel, summed in float32."""
    taps = taps_of(_row_products(image, grad), image.shape[-1], grad.shape[-1])
    return taps[0].astype(image.dtype)


def tap_products(
    images: Float[Array, "t n h w i"], grads: Float[Array, "t n p q o"]
) -> Float[Array, "t 3 c o"]:
    """The taps of the kernel gradients of many pairs, a row of taps at a time."""
    return jax.vmap(_row_products)(images, grads)


def taps_of(
    products: Float[Array, "*t 3 c o"], in_channels: int, out_channels: int
) -> Float[Array, "u 3 3 i o"]:
    """Kernel gradients from what `tap_products` gives."""
    return products.reshape(-1, 3, 3, in_channels, out_channels)


def _row_products(image: jax.Array, grad: jax.Array) -> jax.Array:
    """A product for each row of taps; its three columns lie side by side: (3, 3 i, o)."""
    rows, columns = grad.shape[1:3]
    padded = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def seen(a: int, b: int) -> jax.Array:
        return padded[:, a : a + 2 * rows - 1 : 2, b : b + 2 * columns - 1 : 2]

    sums = [
        jnp.einsum(
            "nhwi,nhwo->io",
            jnp.concatenate([seen(a, b) for b in range(3)], axis=-1),
            grad,
            preferred_element_type=jnp.float32,
        )
        for a in range(3)
    ]
    return jnp.stack(sums)
