"""Transposed convolution with kernel 4, stride 2, padding 1 without a dilated input.

Output voxel 2 i + p of an axis (p = 0, 1) sees two input voxels,

  y[2 i]     = x[i - 1] k[0] + x[i] k[2]
  y[2 i + 1] = x[i] k[1] + x[i + 1] k[3]

with k as in a correlation over the dilated input. The two columns of a pair are computed side by
side in the channels, so that bringing them in line is a reshape. A loop over depth keeps temporary
memory small.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

_NHWC = ("NHWC", "HWIO", "NHWC")


def enlarge(
    image: Float[Array, "n d h w i"], kernel: Float[Array, "4 4 4 i o"]
) -> Float[Array, "n 2*d 2*h 2*w o"]:
    """Transposed convolution that doubles each axis."""
    n, depth, height, width, _ = image.shape
    out_channels = kernel.shape[-1]
    pairs = _column_pairs(kernel)

    def step(i: jax.Array, out: jax.Array) -> jax.Array:
        before, here, after = _neighbors(image, i)
        halves = [jnp.concatenate([before, here], -1), jnp.concatenate([here, after], -1)]
        slices = []
        for p, half in enumerate(halves):
            rows = [
                lax.conv_general_dilated(
                    half,
                    jnp.concatenate([pairs[p, q::2], pairs[p + 2, q::2]], axis=2),
                    (1, 1),
                    ((1 - q, q), (1, 1)),
                    dimension_numbers=_NHWC,
                ).reshape(n, height, 2 * width, out_channels)
                for q in range(2)
            ]
            slices.append(jnp.stack(rows, axis=2).reshape(n, 2 * height, 2 * width, out_channels))
        return lax.dynamic_update_slice_in_dim(out, jnp.stack(slices, axis=1), 2 * i, axis=1)

    out = jnp.zeros((n, 2 * depth, 2 * height, 2 * width, out_channels), image.dtype)
    return lax.fori_loop(0, depth, step, out)


def input_gradient(
    kernel: Float[Array, "4 4 4 i o"], grad: Float[Array, "n 2*d 2*h 2*w o"]
) -> Float[Array, "n d h w i"]:
    """Gradient of `enlarge` with respect to its image: a convolution with stride 2."""
    n, depth2, height2, width2, _ = grad.shape
    mirrored = jnp.flip(kernel, (0, 1, 2)).swapaxes(3, 4)

    def step(i: jax.Array, out: jax.Array) -> jax.Array:
        slices = [_slice(grad, 2 * i - 1 + t) for t in range(4)]
        summed = sum(
            lax.conv_general_dilated(s, k, (2, 2), ((1, 1), (1, 1)), dimension_numbers=_NHWC)
            for s, k in zip(slices, mirrored, strict=True)
        )
        return lax.dynamic_update_slice_in_dim(out, summed[:, None], i, axis=1)

    out = jnp.zeros((n, depth2 // 2, height2 // 2, width2 // 2, kernel.shape[3]), grad.dtype)
    return lax.fori_loop(0, depth2 // 2, step, out)


def kernel_gradient(
    image: Float[Array, "n d h w i"], grad: Float[Array, "n 2*d 2*h 2*w o"]
) -> Float[Array, "4 4 4 i o"]:
    """Gradient of `enlarge` with respect to its kernel, summed in float32."""
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


def _column_pairs(kernel: jax.Array) -> jax.Array:
    """Kernel (4, 4, 3, i, 2 o): both columns of a pair from three input columns."""
    blank = jnp.zeros_like(kernel[:, :, :1])
    even = jnp.concatenate([kernel[:, :, 0:1], kernel[:, :, 2:3], blank], axis=2)
    odd = jnp.concatenate([blank, kernel[:, :, 1:2], kernel[:, :, 3:4]], axis=2)
    return jnp.concatenate([even, odd], axis=-1)


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


def _slice(x: jax.Array, i: jax.Array) -> jax.Array:
    """Depth slice `i` (n, h, w, c); zeros outside the volume."""
    depth = x.shape[1]
    inside = (i >= 0) & (i < depth)
    found = lax.dynamic_index_in_dim(x, jnp.clip(i, 0, depth - 1), 1, keepdims=False)
    return jnp.where(inside, found, 0)
