"""Convolution with kernel 1 on CPU: a matrix product over the voxels that the stride meets."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def convolve(
    image: Float[Array, "n *s i"], kernel: Float[Array, "*k i o"], *, strides: Sequence[int]
) -> Float[Array, "n *t o"]:
    """Cross-correlation without padding."""
    return jnp.tensordot(_seen(image, strides), _matrix(kernel), 1)


def input_gradient(
    kernel: Float[Array, "*k i o"],
    grad: Float[Array, "n *t o"],
    size: Sequence[int],
    *,
    strides: Sequence[int],
) -> Float[Array, "n *s i"]:
    """Gradient of `convolve` with respect to its image of `size` voxels per axis."""
    slopes = jnp.tensordot(grad, _matrix(kernel).T, 1)
    sizes = zip(size, slopes.shape[1:-1], strides, strict=True)
    after = [s - 1 - stride * (t - 1) for s, t, stride in sizes]
    pads = [(0, a, stride - 1) for a, stride in zip(after, strides, strict=True)]
    return lax.pad(slopes, jnp.zeros((), slopes.dtype), [(0, 0, 0), *pads, (0, 0, 0)])


def kernel_gradient(
    image: Float[Array, "n *s i"], grad: Float[Array, "n *t o"], *, strides: Sequence[int]
) -> Float[Array, "*k i o"]:
    """Gradient of `convolve` with respect to its kernel, summed in float32.

    A loop over the batch, since what enters a loop is computed once and whole: for a product
    outside XLA computes the layers in front of the convolution, or the gradient of the norm behind
    it, a second time and transposed, which takes up to ten times as long as the product.
    """
    voxels, axes = _seen(image, strides), tuple(range(image.ndim - 2))

    def step(j: jax.Array, total: jax.Array) -> jax.Array:
        return total + jnp.tensordot(
            voxels[j], grad[j], (axes, axes), preferred_element_type=jnp.float32
        )

    zeros = jnp.zeros((image.shape[-1], grad.shape[-1]), jnp.float32)
    summed = lax.fori_loop(0, len(image), step, zeros)
    return summed.reshape((1,) * len(strides) + summed.shape).astype(image.dtype)


def _seen(image: jax.Array, strides: Sequence[int]) -> jax.Array:
    return image[:, *(slice(None, None, s) for s in strides)]


def _matrix(kernel: jax.Array) -> jax.Array:
    return kernel.reshape(kernel.shape[-2:])
