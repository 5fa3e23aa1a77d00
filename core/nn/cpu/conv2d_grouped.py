"""3 × 3 convolution of images in groups on CPU: a loop over dense convolutions of a few groups.

XLA computes a group at a time, with 4 to 32 channels far too few to fill a vector unit; and all
groups as one dense convolution would be 32 times the work. In between, groups are joined up
to `DENSE_CHANNELS`, in a kernel that is zero between strangers. Measured on two cores at 64² × 128,
32² × 256, 16² × 512 and 8² × 1024 channels in 32 groups, a value of 21, 5, 2.1 and 2.4 ms takes 5,
4, 2.3 and 3.3, a kernel's gradient of 2.0, 1.0, 0.4 and 0.2 s 13, 7, 3 and 3 ms. A loop instead of
a list of convolutions compiles four times as fast, at the same speed.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from core.nn.cpu import conv2d, conv2d_stride2
from core.nn.xla_conv import mirrored

DENSE_CHANNELS = 32
"""Input channels of a dense part; 16 is as fast, 64 and more are slower."""


def convolve(
    image: Float[Array, "n h w i"],
    kernel: Float[Array, "3 3 j o"],
    *,
    stride: int,
    groups: int,
) -> Float[Array, "n p q o"]:
    """Cross-correlation with stride 1 or 2 and zero padding 1."""
    parts = _num_parts(kernel.shape[2], groups)
    kernels = _dense(kernel, groups, parts)
    dense = conv2d.convolve if stride == 1 else conv2d_stride2.convolve
    rows, columns = (-(-s // stride) for s in image.shape[1:3])

    def step(j: jax.Array, out: jax.Array) -> jax.Array:
        return _put(out, j, dense(_part(image, j, parts), kernels[j]))

    out = jnp.zeros((len(image), rows, columns, kernel.shape[-1]), image.dtype)
    return lax.fori_loop(0, parts, step, out)


def input_gradient(
    kernel: Float[Array, "3 3 j o"],
    grad: Float[Array, "n p q o"],
    size: Sequence[int],
    *,
    stride: int,
    groups: int,
) -> Float[Array, "n h w i"]:
    """Gradient of `convolve` with respect to its image of `size` rows and columns."""
    parts = _num_parts(kernel.shape[2], groups)
    kernels = _dense(kernel, groups, parts)

    def step(j: jax.Array, out: jax.Array) -> jax.Array:
        here = _part(grad, j, parts)
        if stride == 1:
            return _put(out, j, conv2d.convolve(here, mirrored(kernels[j])))
        return _put(out, j, conv2d_stride2.input_gradient(kernels[j], here, size))

    out = jnp.zeros((len(grad), *size, groups * kernel.shape[2]), grad.dtype)
    return lax.fori_loop(0, parts, step, out)


def kernel_gradient(
    image: Float[Array, "n h w i"], grad: Float[Array, "n p q o"], *, stride: int, groups: int
) -> Float[Array, "3 3 j o"]:
    """Gradient of `convolve` with respect to its kernel, summed in float32."""
    parts = _num_parts(image.shape[-1] // groups, groups)
    dense = conv2d.kernel_gradient if stride == 1 else conv2d_stride2.kernel_gradient

    def part(j: jax.Array) -> jax.Array:
        return dense(_part(image, j, parts), _part(grad, j, parts))

    return _own(lax.map(part, jnp.arange(parts)), groups // parts)


def _num_parts(in_channels: int, groups: int) -> int:
    """Dense convolutions that the groups are put together to."""
    together = max(1, DENSE_CHANNELS // in_channels)
    return groups // max(g for g in range(1, together + 1) if groups % g == 0)


def _dense(kernel: jax.Array, groups: int, parts: int) -> jax.Array:
    """(3, 3, i/g, o) → (part, 3, 3, i of the part, o of the part), zero between groups."""
    in_channels, out_channels = kernel.shape[2:]
    together = groups // parts
    split = kernel.reshape(3, 3, in_channels, parts, together, out_channels // groups)
    same = jnp.eye(together, dtype=kernel.dtype)
    dense = jnp.einsum("abipgo,gl->pabligo", split, same)
    return dense.reshape(parts, 3, 3, together * in_channels, out_channels // parts)


def _own(dense: jax.Array, together: int) -> jax.Array:
    """Inverse of `_dense`: what a kernel says on the groups themselves."""
    parts, (in_channels, out_channels) = len(dense), (c // together for c in dense.shape[3:])
    split = dense.reshape(parts, 3, 3, together, in_channels, together, out_channels)
    own = jnp.diagonal(split, axis1=3, axis2=5)  # (part, 3, 3, i, o, group)
    own = own.transpose(1, 2, 3, 0, 5, 4)
    return own.reshape(3, 3, in_channels, parts * together * out_channels)


def _part(x: jax.Array, j: jax.Array, parts: int) -> jax.Array:
    size = x.shape[-1] // parts
    return lax.dynamic_slice_in_dim(x, j * size, size, axis=-1)


def _put(out: jax.Array, j: jax.Array, part: jax.Array) -> jax.Array:
    return lax.dynamic_update_slice_in_dim(out, part, j * part.shape[-1], axis=-1)
