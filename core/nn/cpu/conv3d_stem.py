"""7 × 7 × 7 convolution on CPU, strides (1, 2, 2), padding 3: the first of a 3D ResNet.

The seven slices that an output slice sees lie side by side in the channels, so that it is one 2D
convolution with stride 2. Against XLA's own on two cores, at 3 → 8 and 3 → 64 channels, its value
takes a 4th to a 12th of the time, the kernel's gradient a 6th to a 25th, the image's a 30th or
less. The few channels of a stem bear being there seven times.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from core.nn.xla_conv import LAYOUT

SIZE, PADDING = 7, 3


def convolve(
    image: Float[Array, "n d h w i"], kernel: Float[Array, "7 7 7 i o"]
) -> Float[Array, "n d p q o"]:
    """Cross-correlation with strides (1, 2, 2) and zero padding 3."""
    n, slices = image.shape[:2]
    padded = jnp.pad(image, ((0, 0), (PADDING, PADDING), *[(0, 0)] * 3))
    seen = jnp.concatenate([padded[:, a : a + slices] for a in range(SIZE)], axis=-1)
    out = lax.conv_general_dilated(
        seen.reshape(-1, *seen.shape[2:]),
        jnp.concatenate([kernel[a] for a in range(SIZE)], axis=2),
        (2, 2),
        ((PADDING, PADDING),) * 2,
        dimension_numbers=LAYOUT[2],
    )
    return out.reshape(n, slices, *out.shape[1:])


def input_gradient(
    kernel: Float[Array, "7 7 7 i o"], grad: Float[Array, "n d p q o"], size: Sequence[int]
) -> Float[Array, "n d h w i"]:
    """Gradient of `convolve` with respect to its image of `size` voxels per axis."""
    image = jax.ShapeDtypeStruct((len(grad), *size, kernel.shape[-2]), grad.dtype)
    return jax.linear_transpose(lambda x: convolve(x, kernel), image)(grad)[0]


def kernel_gradient(
    image: Float[Array, "n d h w i"], grad: Float[Array, "n d p q o"]
) -> Float[Array, "7 7 7 i o"]:
    """Gradient of `convolve` with respect to its kernel."""
    kernel = jax.ShapeDtypeStruct((*(SIZE,) * 3, image.shape[-1], grad.shape[-1]), image.dtype)
    return jax.linear_transpose(lambda k: convolve(image, k), kernel)(grad)[0]
