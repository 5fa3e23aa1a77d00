"""Convolution, transposed convolution and max-pooling, channel last, lowered per platform."""

from collections.abc import Sequence

import jax
from jax import lax
from jaxtyping import Array, Float

from core import check

DIMENSIONS = {2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


def conv(
    image: Float[Array, "n *s c"],
    kernel: Float[Array, "*k i o"],
    *,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int],
    groups: int = 1,
) -> Float[Array, "n *t o"]:
    """Cross-correlation with symmetric zero padding, in two or three dimensions."""
    check.rank("image", image, (4, 5))
    num_axes = image.ndim - 2
    strides = (stride,) * num_axes if isinstance(stride, int) else tuple(stride)
    pads = (padding,) * num_axes if isinstance(padding, int) else tuple(padding)
    return lax.conv_general_dilated(
        image,
        kernel,
        strides,
        [(p, p) for p in pads],
        dimension_numbers=DIMENSIONS[num_axes],
        feature_group_count=groups,
    )


def conv_transpose(
    image: Float[Array, "n *s i"], kernel: Float[Array, "*k i o"], *, stride: int = 2
) -> Float[Array, "n *t o"]:
    """Transposed convolution whose output is `stride` times as large as its input."""
    check.rank("image", image, (4, 5))
    num_axes = image.ndim - 2
    return lax.conv_transpose(
        image, kernel, (stride,) * num_axes, "SAME", dimension_numbers=DIMENSIONS[num_axes]
    )


def max_pool(image: Float[Array, "n *s c"], *, window: int = 2) -> Float[Array, "n *t c"]:
    """Largest value of each block of `window` voxels per axis."""
    check.rank("image", image, (4, 5))
    check.divisible("image.shape[1:-1]", image.shape[1:-1], window, "max-pool window")
    n, *spatial, c = image.shape
    blocks = [size for s in spatial for size in (s // window, window)]
    axes = tuple(range(2, 2 + 2 * len(spatial), 2))
    return jax.numpy.max(image.reshape(n, *blocks, c), axis=axes)
