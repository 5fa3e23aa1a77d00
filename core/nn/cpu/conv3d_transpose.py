"""Transposed convolution with kernel 4, stride 2, padding 1 without a dilated input.

Along each axis the outputs 2 m - 1 and 2 m see the same two inputs, m - 1 and m,

  y[2 m - 1] = x[m - 1] k[1] + x[m] k[3]
  y[2 m]     = x[m - 1] k[0] + x[m] k[2]

with k as in a correlation over the dilated input. So the eight outputs around a corner between
voxels are one product of its eight inputs with a matrix (8 i, 8 o), nothing of which is wasted.
Loops over depth keep temporary memory small.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from core.nn.xla_conv import mirrored

_NHWC = ("NHWC", "HWIO", "NHWC")


def convolve(
    image: Float[Array, "n d h w i"], kernel: Float[Array, "4 4 4 i o"]
) -> Float[Array, "n p q r o"]:
    """Transposed convolution that doubles each axis."""
    n, depth, height, width, _ = image.shape
    out_channels = kernel.shape[-1]
    corners = _corner_kernel(kernel)

    def around(m: jax.Array | int) -> jax.Array:
        """Output slices 2 m - 1 and 2 m: (n, 2, 2 h, 2 w, o)."""
        pair = jnp.concatenate([_slice(image, m - 1), _slice(image, m)], axis=-1)
        out = lax.conv_general_dilated(
            pair, corners, (1, 1), ((1, 1), (1, 1)), dimension_numbers=_NHWC
        ).reshape(n, height + 1, width + 1, 2, 2, 2 * out_channels)
        out = out.transpose(0, 3, 1, 4, 2, 5)
        out = out.reshape(n, 2, 2 * height + 2, 2 * width + 2, out_channels)
        return out[:, :, 1:-1, 1:-1]

    def step(m: jax.Array, out: jax.Array) -> jax.Array:
        return lax.dynamic_update_slice_in_dim(out, around(m), 2 * m - 1, axis=1)

    out = jnp.zeros((n, 2 * depth, 2 * height, 2 * width, out_channels), image.dtype)
    out = out.at[:, 0].set(around(0)[:, 1]).at[:, -1].set(around(depth)[:, 0])
    return lax.fori_loop(1, depth, step, out)


def input_gradient(
    kernel: Float[Array, "4 4 4 i o"], grad: Float[Array, "n p q r o"]
) -> Float[Array, "n d h w i"]:
    """Gradient of `convolve` with respect to its image: a convolution with stride 2."""
    n, depth2, height2, width2, _ = grad.shape

    def step(i: jax.Array, out: jax.Array) -> jax.Array:
        terms = [
            lax.conv_general_dilated(
                _slice(grad, 2 * i - 1 + t), k, (2, 2), ((1, 1), (1, 1)), dimension_numbers=_NHWC
            )
            for t, k in enumerate(mirrored(kernel))
        ]
        summed = terms[0] + terms[1] + terms[2] + terms[3]
        return lax.dynamic_update_slice_in_dim(out, summed[:, None], i, axis=1)

    out = jnp.zeros((n, depth2 // 2, height2 // 2, width2 // 2, kernel.shape[3]), grad.dtype)
    return lax.fori_loop(0, depth2 // 2, step, out)


def kernel_gradient(
    image: Float[Array, "n d h w i"], grad: Float[Array, "n p q r o"]
) -> Float[Array, "4 4 4 i o"]:
    """Gradient of `convolve` with respect to its kernel, summed in float32."""
    in_channels, out_channels = image.shape[-1], grad.shape[-1]

    def step(i: jax.Array, sums: list[jax.Array]) -> list[jax.Array]:
        before, here, after = _neighbors(image, i)
        halves = [jnp.concatenate([before, here], -1), jnp.concatenate([here, after], -1)]
        return [
            total
            + lax.dot_general(
                half,
                _patches(_slice(grad, 2 * i + p)),
                (((0, 1, 2), (0, 1, 2)), ((), ())),
                preferred_element_type=jnp.float32,
            )
            for p, (total, half) in enumerate(zip(sums, halves, strict=True))
        ]

    zeros = jnp.zeros((2 * in_channels, 16 * out_channels), jnp.float32)
    sums = lax.fori_loop(0, image.shape[1], step, [zeros, zeros])
    # (parity, depth tap of that parity, i, row tap, column tap, o), rows and columns mirrored.
    taps = jnp.stack(sums).reshape(2, 2, in_channels, 4, 4, out_channels)
    kernel = taps.transpose(1, 0, 3, 4, 2, 5).reshape(4, 4, 4, in_channels, out_channels)
    return jnp.flip(kernel, (1, 2)).astype(image.dtype)


def _corner_kernel(kernel: jax.Array) -> jax.Array:
    """(4, 4, 4, i, o) → (2, 2, 2 i, 8 o): row and column of the input, then its depth and channel.

    Input a (0: m - 1, 1: m) and output p (0: 2 m - 1, 1: 2 m) of an axis meet in tap 2 a + 1 - p.
    """
    i, o = kernel.shape[-2:]
    taps = jnp.flip(kernel.reshape(2, 2, 2, 2, 2, 2, i, o), (1, 3, 5))
    # (a_d, p_d, a_h, p_h, a_w, p_w, i, o) → (a_h, a_w, a_d, i, p_d, p_h, p_w, o)
    return taps.transpose(2, 4, 0, 6, 1, 3, 5, 7).reshape(2, 2, 2 * i, 8 * o)


def _patches(grad: jax.Array) -> jax.Array:
    """The 4 × 4 output voxels each input voxel touches, in the channels: (n, h, w, 16 o)."""
    n, height2, width2, channels = grad.shape
    padded = jnp.pad(grad, ((0, 0), (1, 1), (1, 1), (0, 0)))
    # (n, row pair, row of pair, column pair, 2 o): columns of a pair are neighbors in memory.
    pairs = padded.reshape(n, height2 // 2 + 1, 2, width2 // 2 + 1, 2 * channels)
    rows = [pairs[:, a : a + height2 // 2, b] for a in range(2) for b in range(2)]
    return jnp.concatenate([r[:, :, c : c + width2 // 2] for r in rows for c in range(2)], axis=-1)


def _neighbors(x: jax.Array, i: jax.Array) -> list[jax.Array]:
    return [_slice(x, i + j) for j in (-1, 0, 1)]


def _slice(x: jax.Array, i: jax.Array | int) -> jax.Array:
    """Depth slice `i` (n, h, w, c); zeros outside the volume."""
    depth = x.shape[1]
    inside = (i >= 0) & (i < depth)
    section = lax.dynamic_index_in_dim(x, jnp.clip(i, 0, depth - 1), 1, keepdims=False)
    return jnp.where(inside, section, 0)
