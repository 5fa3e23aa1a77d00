"""Large kernels on CPU: 5 × 5 × 5 of a V-Net, and 7 × 7 × 7 of a 3D ResNet's first layer.

The slices that an output slice sees lie side by side in the channels, so that it is one 2D
convolution. Against XLA's own on two cores, 7³ with strides (1, 2, 2) at 3 → 8 and 3 → 64 channels
takes for its value a 4th to a 12th of the time, for the kernel's gradient a 6th to a 25th, for the
image's a 30th or less; 5³ at 4 → 4 channels on 16 × 16³ a 40th and an 11th, at 32 → 32 on 2 × 32³ a
3rd and a 6th. XLA's 2D convolution over slices of a few pixels is 8 to 30 times slower than their
products with each row of the kernel, so those are that sum.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from core.nn.xla_conv import LAYOUT

FEW = 8
"""Pixels along a side below which a slice is multiplied instead."""


def convolve(
    image: Float[Array, "n d h w i"], kernel: Float[Array, "k k k i o"], *, side: int, stride: int
) -> Float[Array, "n d p q o"]:
    """Cross-correlation with a kernel of `side` voxels per axis, and a stride within slices.

    There are zeros for half a kernel around.
    """
    if stride == 1 and min(image.shape[2:4]) < FEW:
        return _by_products(image, kernel, side)
    return _by_slices(image, kernel, side, stride)


def input_gradient(
    kernel: Float[Array, "k k k i o"],
    grad: Float[Array, "n d p q o"],
    *,
    size: Sequence[int],
    side: int,
    stride: int,
) -> Float[Array, "n d h w i"]:
    """Gradient of `convolve` with respect to its image of `size` voxels per axis."""
    image = jax.ShapeDtypeStruct((len(grad), *size, kernel.shape[-2]), grad.dtype)
    of_image = partial(convolve, kernel=kernel, side=side, stride=stride)
    return jax.linear_transpose(of_image, image)(grad)[0]


def kernel_gradient(
    image: Float[Array, "n d h w i"], grad: Float[Array, "n d p q o"], *, side: int, stride: int
) -> Float[Array, "k k k i o"]:
    """Gradient of `convolve` with respect to its kernel."""
    kernel = jax.ShapeDtypeStruct((side,) * 3 + (image.shape[-1], grad.shape[-1]), image.dtype)
    return jax.linear_transpose(lambda k: _by_slices(image, k, side, stride), kernel)(grad)[0]


def _by_slices(image: jax.Array, kernel: jax.Array, side: int, stride: int) -> jax.Array:
    n, slices = image.shape[:2]
    half = side // 2
    padded = jnp.pad(image, ((0, 0), (half, half), *[(0, 0)] * 3))
    seen = jnp.concatenate([padded[:, a : a + slices] for a in range(side)], axis=-1)
    out = lax.conv_general_dilated(
        seen.reshape(-1, *seen.shape[2:]),
        jnp.concatenate([kernel[a] for a in range(side)], axis=2),
        (stride, stride),
        ((half, half),) * 2,
        dimension_numbers=LAYOUT[2],
    )
    return out.reshape(n, slices, *out.shape[1:])


def _by_products(image: jax.Array, kernel: jax.Array, side: int) -> jax.Array:
    """With stride 1: the columns that a row of the kernel sees, side by side, times that row."""
    _, slices, rows, columns, _ = image.shape
    half = side // 2
    padded = jnp.pad(image, ((0, 0), *[(half, half)] * 3, (0, 0)))
    seen = jnp.concatenate([padded[:, :, :, c : c + columns] for c in range(side)], axis=-1)
    of_rows = kernel.reshape(side, side, -1, kernel.shape[-1])
    out = jnp.zeros((), image.dtype)
    for a in range(side):
        for b in range(side):
            out = out + jnp.tensordot(seen[:, a : a + slices, b : b + rows], of_rows[a, b], 1)
    return out
