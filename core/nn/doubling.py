"""Transposed 3 × 3 convolution of images on CPU, stride 2: what doubles the grid in a U-Net.

In the geometry of "SAME", which Keras and XLA share, along each axis

  y[2 m]     = x[m - 1] k[0] + x[m] k[2]
  y[2 m + 1] = x[m] k[1]

with k as in a correlation over the dilated input. So the four outputs of a block are one
convolution with 2 × 2 taps and four times the channels, of whose sixteen taps nine are not zero.
With many channels XLA's value is faster; its gradients take 12 to 45 times as long as these.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

MANY_CHANNELS = 64
"""Output channels from which on XLA's own value is taken: on two cores 74 against 162 ms from 256
to 128 channels on 2 × 32², 88 against 108 from 128 to 64 on 2 × 64²; but from 64 to 32 on 2 × 128²
it takes 132 against 95."""

_NHWC = ("NHWC", "HWIO", "NHWC")


def convolve(
    image: Float[Array, "n h w i"], kernel: Float[Array, "3 3 i o"]
) -> Float[Array, "n 2*h 2*w o"]:
    """Transposed convolution that doubles each axis."""
    if kernel.shape[-1] >= MANY_CHANNELS:
        return lax.conv_transpose(image, kernel, (2, 2), "SAME", dimension_numbers=_NHWC)
    n, height, width, _ = image.shape
    in_channels, out_channels = kernel.shape[2:]
    # Along an axis (m - 1, m) × (2 m, 2 m + 1): the taps [[0, none], [2, 1]].
    padded = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
    taps = jnp.array([[0, 3], [2, 1]])
    blocks = padded[taps[:, None, :, None], taps[None, :, None, :]]  # (m, m, p, p, i, o)
    blocks = blocks.transpose(0, 1, 4, 2, 3, 5).reshape(2, 2, in_channels, 4 * out_channels)
    out = lax.conv_general_dilated(image, blocks, (1, 1), ((1, 0), (1, 0)), dimension_numbers=_NHWC)
    out = out.reshape(n, height, width, 2, 2, out_channels).transpose(0, 1, 3, 2, 4, 5)
    return out.reshape(n, 2 * height, 2 * width, out_channels)


def input_gradient(
    kernel: Float[Array, "3 3 i o"], grad: Float[Array, "n 2*h 2*w o"]
) -> Float[Array, "n h w i"]:
    """Gradient of `convolve` with respect to its image: a convolution with stride 2."""
    mirrored = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    return lax.conv_general_dilated(
        grad, mirrored, (2, 2), ((0, 1), (0, 1)), dimension_numbers=_NHWC
    )


def kernel_gradient(
    image: Float[Array, "n h w i"], grad: Float[Array, "n 2*h 2*w o"]
) -> Float[Array, "3 3 i o"]:
    """Gradient of `convolve` with respect to its kernel, summed in float32.

    A product for each row of taps; its three columns lie side by side in the channels.
    """
    height, width = image.shape[1:3]
    padded = jnp.pad(grad, ((0, 0), (0, 1), (0, 1), (0, 0)))

    def met(a: int, b: int) -> jax.Array:
        """What the mirrored tap (a, b) of each voxel adds to."""
        return padded[:, a : a + 2 * height - 1 : 2, b : b + 2 * width - 1 : 2]

    sums = [
        jnp.einsum(
            "nhwi,nhwo->io",
            image,
            jnp.concatenate([met(a, b) for b in (2, 1, 0)], axis=-1),
            preferred_element_type=jnp.float32,
        )
        for a in (2, 1, 0)
    ]
    taps = jnp.stack(sums).reshape(3, image.shape[-1], 3, grad.shape[-1])
    return taps.swapaxes(1, 2).astype(image.dtype)
