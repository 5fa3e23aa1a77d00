"""Transposed convolution whose kernel is as large as its stride: every voxel becomes a block.

One product with the kernel, on every platform, without the zeros between voxels that a transposed
convolution has.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from core.nn.xla_conv import Problem, Role


def convolve(
    image: Float[Array, "n *s i"], kernel: Float[Array, "*k i o"]
) -> Float[Array, "n *t o"]:
    """The enlarged image.

    The kernel is mirrored in a correlation, so block position p holds tap k - 1 - p.
    """
    num_axes, strides, out_channels = image.ndim - 2, kernel.shape[:-2], kernel.shape[-1]
    blocks = jnp.flip(kernel, range(num_axes))
    out = jnp.tensordot(image, blocks, ((image.ndim - 1,), (num_axes,)))
    order = [0] + [a for i in range(num_axes) for a in (1 + i, 1 + num_axes + i)]
    out = out.transpose(*order, out.ndim - 1)
    sizes = zip(image.shape[1:-1], strides, strict=True)
    return out.reshape(image.shape[0], *(n * s for n, s in sizes), out_channels)


def compute(problem: Problem, wanted: Role, a: jax.Array, b: jax.Array) -> jax.Array:
    """As `core.nn.xla_conv.compute`."""
    if wanted == "out":
        return convolve(a, b)
    if wanted == "image":
        image = jax.ShapeDtypeStruct((len(b), *problem.image_size, a.shape[-2]), b.dtype)
        return jax.linear_transpose(lambda x: convolve(x, a), image)(b)[0]
    kernel = jax.ShapeDtypeStruct((*problem.kernel_size, a.shape[-1], b.shape[-1]), b.dtype)
    return jax.linear_transpose(lambda k: convolve(a, k), kernel)(b)[0]
