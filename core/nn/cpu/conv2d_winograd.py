"""3 × 3 convolution of images on CPU, stride 1, many channels: Winograd's F(4, 3) over rows.

Four output rows need twelve convolutions along rows when computed directly and six here (Lavin &
Gray, CVPR 2016, Sec. 4.1): with g the three kernel rows and x the six input rows they see,

  y = Aᵀ [(G g) * (Bᵀ x)],  * a convolution with 1 × 3 taps for each of the six pairs.

From 64 channels on the sums in front and behind cost less than the products they save: 1.3 to 1.9
times as fast as XLA's own at 64² to 128², with errors of 3e-6 in float32. Squares of 4 × 4, which
save more products, are not faster: they move more memory.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from core.nn.cpu import conv2d
from core.nn.cpu.conv3d_winograd import INPUT, KERNEL, OUTPUT, TILE, combine
from core.nn.strided import every
from core.nn.xla_conv import mirrored

MANY_CHANNELS = 64
"""On either side; below, XLA's own is the faster one."""

MIN_PIXELS = 256
"""Of all images; fewer leave each of the six convolutions too little to do: at 512 channels one
image of 8 × 8 takes 5.6 against 3.8 ms, one of 16 × 16 as long either way."""


def convolve(
    image: Float[Array, "n h w i"], kernel: Float[Array, "3 3 i o"]
) -> Float[Array, "n h w o"]:
    """Cross-correlation with stride 1 and zero padding 1."""
    n, _, width, _ = image.shape
    if not _pays(image, max(kernel.shape[2:])):
        return conv2d.convolve(image, kernel)
    inputs = combine(INPUT, _rows_of_tiles(image))
    rows = [
        _along(pixels, taps)
        for pixels, taps in zip(inputs, combine(KERNEL, list(kernel)), strict=True)
    ]
    tiles = jnp.stack(combine(OUTPUT, rows), axis=2)
    return tiles.reshape(n, -1, width, kernel.shape[-1])[:, : image.shape[1]]


def input_gradient(
    kernel: Float[Array, "3 3 i o"], grad: Float[Array, "n h w o"]
) -> Float[Array, "n h w i"]:
    """Gradient of `convolve` with respect to its image."""
    return convolve(grad, mirrored(kernel))


def kernel_gradient(
    image: Float[Array, "n h w i"], grad: Float[Array, "n h w o"]
) -> Float[Array, "3 3 i o"]:
    """Gradient of `convolve` with respect to its kernel, summed in float32.

    Gᵀ Σ [(Bᵀ x) ⊛ (A ∂y)], each ⊛ one product with the three columns of x side by side; where x
    has more channels than y, copying it thrice costs more than the products saved.
    """
    channels = image.shape[-1], grad.shape[-1]
    if not _pays(image, max(channels)) or channels[0] > channels[1]:
        return conv2d.kernel_gradient(image, grad)
    inputs = combine(INPUT, _rows_of_tiles(image))
    taps = []
    for pixels, slopes in zip(inputs, combine(OUTPUT.T, _tiles(grad)), strict=True):
        # Without the barrier XLA computes the sums anew for every part of the product.
        near, slopes = lax.optimization_barrier((conv2d.shifted(pixels, axis=2), slopes))
        sums = jnp.tensordot(
            near, slopes, ((0, 1, 2), (0, 1, 2)), preferred_element_type=jnp.float32
        )
        taps.append(sums.reshape(3, *channels))
    return jnp.stack(combine(KERNEL.T, taps)).astype(image.dtype)


def _pays(image: jax.Array, channels: int) -> bool:
    return channels >= MANY_CHANNELS and image[..., 0].size >= MIN_PIXELS


def _rows_of_tiles(image: jax.Array) -> list[jax.Array]:
    """Row 0 … 5 of what every tile of four output rows sees, each (n, ⌈h / 4⌉, w, i)."""
    height = image.shape[1]
    to_whole = -height % TILE
    padded = jnp.pad(image, ((0, 0), (1, 1 + to_whole), (0, 0), (0, 0)))
    # Otherwise XLA computes what made the image, such as a batch norm, once for each row.
    padded = lax.optimization_barrier(padded)
    last = height + to_whole - TILE
    rows = range(INPUT.shape[1])
    return [every(padded, TILE, axis=1, start=j, stop=j + last + 1) for j in rows]


def _tiles(grad: jax.Array) -> list[jax.Array]:
    """Row 0 … 3 of every tile, each (n, ⌈h / 4⌉, w, o)."""
    whole = jnp.pad(grad, ((0, 0), (0, -grad.shape[1] % TILE), (0, 0), (0, 0)))
    whole = lax.optimization_barrier(whole)
    return [every(whole, TILE, axis=1, start=j) for j in range(TILE)]


def _along(pixels: jax.Array, taps: jax.Array) -> jax.Array:
    """Convolve along rows, (n, t, w, i) with (3, i, o)."""
    return lax.conv_general_dilated(
        pixels, taps[None], (1, 1), ((0, 0), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
