"""3 × 3 × 3 convolution of a single channel on CPU: 27 shifted copies and one matrix product.

The copies of one channel are cheap, and every other form would compute on nearly empty vectors. A
loop over depth keeps them in the cache; the kernel's gradient is the same product transposed.
"""

from itertools import product

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from core.nn.cpu import conv3d_winograd


def convolve(
    image: Float[Array, "n d h w 1"], kernel: Float[Array, "3 3 3 1 o"]
) -> Float[Array, "n d h w o"]:
    """Cross-correlation with stride 1 and zero padding 1."""
    padded, out_channels = _padded(image), kernel.shape[-1]

    def step(i: jax.Array, out: jax.Array) -> jax.Array:
        slice_ = jnp.tensordot(_taps(padded, i), kernel.reshape(27, out_channels), ((0,), (0,)))
        return lax.dynamic_update_slice_in_dim(out, slice_[:, None], i, axis=1)

    out = jnp.zeros((*image.shape[:-1], out_channels), image.dtype)
    return lax.fori_loop(0, image.shape[1], step, out)


def input_gradient(
    kernel: Float[Array, "3 3 3 1 o"], grad: Float[Array, "n d h w o"]
) -> Float[Array, "n d h w 1"]:
    """Gradient of `convolve` with respect to its image; saliency asks for it, training does not."""
    return conv3d_winograd.input_gradient(kernel, grad, grad.shape[1:-1])


def kernel_gradient(
    image: Float[Array, "n d h w 1"], grad: Float[Array, "n d h w o"]
) -> Float[Array, "3 3 3 1 o"]:
    """Gradient of `convolve` with respect to its kernel, summed in float32."""
    padded, out_channels = _padded(image), grad.shape[-1]

    def step(i: jax.Array, total: jax.Array) -> jax.Array:
        here = lax.dynamic_index_in_dim(grad, i, axis=1, keepdims=False)
        return total + jnp.tensordot(
            _taps(padded, i), here, ((1, 2, 3), (0, 1, 2)), preferred_element_type=jnp.float32
        )

    total = lax.fori_loop(0, image.shape[1], step, jnp.zeros((27, out_channels), jnp.float32))
    return total.reshape(3, 3, 3, 1, out_channels).astype(image.dtype)


def _padded(image: jax.Array) -> jax.Array:
    return jnp.pad(image[..., 0], ((0, 0), (1, 1), (1, 1), (1, 1)))


def _taps(padded: jax.Array, i: jax.Array) -> jax.Array:
    """What the 27 taps see of output slice `i`: (27, n, h, w)."""
    _, _, height, width = padded.shape
    slices = [lax.dynamic_index_in_dim(padded, i + a, axis=1, keepdims=False) for a in range(3)]
    corners = product(slices, range(3), range(3))
    return jnp.stack([s[:, b : b + height - 2, c : c + width - 2] for s, b, c in corners])
