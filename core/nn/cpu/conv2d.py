"""3 × 3 convolution of images on CPU, stride 1, in the forms that were fastest.

XLA computes the gradients of its own 2D convolution with a dilated or mirrored kernel, in a form
many times slower than the value's. The input's gradient is the same convolution with the mirrored
kernel written out, and the kernel's is one matrix product.
"""

from itertools import product

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

SMALL_SIDE = 2
"""Up to here nine shifted copies and one product: XLA's 2D convolution of 256 channels on images of
2 × 2 takes 45 times as long (301 against 7 ms); from 4 × 4 on it is the faster one."""

FEW_CHANNELS = 16
"""Up to here XLA's 2D convolution gains from twice the output channels at 4/3 of the products: 1.2
times as fast from 16 to 16 on 512², slower above on either side."""

COLORS = 4
"""Input channels up to which the kernel's gradient is `_product_of_colors`, and the value is faster
with four times the output channels at twice the products: 3.5 times as fast from 1 to 16 on 512²,
2.6 times from 3 to 16 on 256²."""

MANY_CHANNELS = 128
"""From here on the kernel's gradient is a product for each tap rather than one for all: 15 against
40 ms from 256 to 64 channels on 64 × 64, equal at 128; below, one product is twice as fast."""


def convolve(
    image: Float[Array, "n h w i"], kernel: Float[Array, "3 3 i o"]
) -> Float[Array, "n h w o"]:
    """Cross-correlation with stride 1 and zero padding 1."""
    height, width = image.shape[1:3]
    in_channels, out_channels = kernel.shape[2:]
    if max(height, width) <= SMALL_SIDE:
        taps = shifted(shifted(image, axis=2), axis=1)
        return jnp.tensordot(taps, kernel.reshape(9 * in_channels, out_channels), 1)
    columns = _columns_at_once(in_channels, out_channels, width)
    kernels = [
        jnp.pad(kernel, ((0, 0), (j, columns - 1 - j), (0, 0), (0, 0))) for j in range(columns)
    ]
    out = lax.conv_general_dilated(
        image,
        jnp.concatenate(kernels, axis=-1),
        (1, columns),
        ((1, 1), (1, 1)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return out.reshape(-1, height, width, out_channels)


def _columns_at_once(in_channels: int, out_channels: int, width: int) -> int:
    """Neighboring outputs that share one larger kernel, side by side in its channels."""
    if in_channels <= COLORS and width % 4 == 0:
        return 4
    return 2 if max(in_channels, out_channels) <= FEW_CHANNELS and width % 2 == 0 else 1


def kernel_gradient(
    image: Float[Array, "n h w i"], grad: Float[Array, "n h w o"]
) -> Float[Array, "3 3 i o"]:
    """Gradient of `convolve` with respect to its kernel, summed in float32."""
    if image.shape[-1] <= COLORS:
        return _product_of_colors(image, grad).astype(image.dtype)
    if image.shape[-1] >= MANY_CHANNELS:
        return _products_of_taps(image, grad).astype(image.dtype)
    sums = tap_products(image[None], grad[None])
    return taps_of(sums, image.shape[-1], grad.shape[-1])[0].astype(image.dtype)


def _product_of_colors(image: jax.Array, grad: jax.Array) -> jax.Array:
    """One product with nine shifted copies of every color, an image at a time.

    From 3 to 64 channels on 2 × 256² it takes 6 ms, `tap_products` 88; from 1 to 16 on 2 × 512² 22
    and 87.
    """
    n, height, width, colors = image.shape
    padded = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def step(j: jax.Array, total: jax.Array) -> jax.Array:
        picture = lax.dynamic_index_in_dim(padded, j, keepdims=False)
        places = product(range(3), range(3), range(colors))
        taps = jnp.stack([picture[a : a + height, b : b + width, i] for a, b, i in places])
        here = lax.dynamic_index_in_dim(grad, j, keepdims=False)
        return total + jnp.tensordot(
            taps, here, ((1, 2), (0, 1)), preferred_element_type=jnp.float32
        )

    zeros = jnp.zeros((9 * colors, grad.shape[-1]), jnp.float32)
    return lax.fori_loop(0, n, step, zeros).reshape(3, 3, colors, -1)


def _products_of_taps(image: jax.Array, grad: jax.Array) -> jax.Array:
    """A product for each tap, with the gradient shifted against the image."""
    (height, width), padded = image.shape[1:3], jnp.pad(grad, ((0, 0), (1, 1), (1, 1), (0, 0)))
    # Without the barrier every product pads for itself.
    padded = lax.optimization_barrier(padded)
    taps = [
        jnp.tensordot(
            image,
            padded[:, 2 - a : 2 - a + height, 2 - b : 2 - b + width],
            ((0, 1, 2), (0, 1, 2)),
            preferred_element_type=jnp.float32,
        )
        for a in range(3)
        for b in range(3)
    ]
    return jnp.stack(taps).reshape(3, 3, image.shape[-1], grad.shape[-1])


def tap_products(
    images: Float[Array, "t n h w i"], grads: Float[Array, "t n h w o"]
) -> Float[Array, "t c e"]:
    """All nine taps of the kernel gradients of many pairs, in one product a pair.

    Columns are shifted on one side, rows on the other:

    ∂k[a, b] = Σ_{y,x} image[y + a - 1, x + b - 1] grad[y, x]
             = Σ_{y,x} image[y, x + b - 1] grad[y + 1 - a, x]
    """
    columns, rows = shifted(images, axis=3), shifted(grads, axis=2)
    return lax.dot_general(
        columns, rows, (((1, 2, 3), (1, 2, 3)), ((0,), (0,))), preferred_element_type=jnp.float32
    )


def taps_of(
    products: Float[Array, "t c e"], in_channels: int, out_channels: int
) -> Float[Array, "t 3 3 i o"]:
    """Kernel gradients from (column tap and i, mirrored row tap and o)."""
    taps = products.reshape(-1, 3, in_channels, 3, out_channels)
    return taps[:, :, :, ::-1].transpose(0, 3, 1, 2, 4)


def shifted(x: jax.Array, axis: int) -> jax.Array:
    """x[· - 1], x[·], x[· + 1] along `axis`, side by side in the channels, zeros outside."""
    pads = [(0, 0)] * x.ndim
    pads[axis] = (1, 1)
    padded, size = jnp.pad(x, pads), x.shape[axis]
    return jnp.concatenate(
        [lax.slice_in_dim(padded, j, j + size, axis=axis) for j in range(3)], axis=-1
    )
