"""Max-pooling, channel last."""

from collections.abc import Iterator
from functools import partial, reduce
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from core import check
from core.nn.strided import every


def max_pool(
    image: Float[Array, "n *s c"], *, window: int = 2, stride: int | None = None, padding: int = 0
) -> Float[Array, "n *t c"]:
    """Largest value of each window.

    The gradient goes to one voxel that has the largest value; where windows are blocks side by side
    to the first, as in PyTorch. It never comes from comparing a voxel with a maximum: XLA may
    compute the image anew wherever it is used, with other roundings, and then none is equal.

    Args:
      image: two or three spatial axes.
      window: voxels per axis.
      stride: voxels between windows; `window` unless given.
      padding: voxels on both sides that are never the largest.

    Returns:
      ⌊(s + 2 padding - window) / stride⌋ + 1 voxels per axis.

    Raises:
      ValueError: windows are blocks and a spatial size is not divisible by them.
    """
    check.rank("image", image, (4, 5))
    stride = stride or window
    if stride != window or padding:
        for axis in range(1, image.ndim - 1):
            image = _largest_along(image, axis, window, stride, padding)
        return image
    check.divisible("image spatial shape", image.shape[1:-1], window, "max-pool window")
    return _max_pool(image, window)


def _largest_along(
    image: jax.Array, axis: int, window: int, stride: int, padding: int
) -> jax.Array:
    """Sliding maximum along one axis; its gradient is elementwise, XLA's own scatters on CPU."""
    pads = [(0, 0, 0)] * image.ndim
    pads[axis] = (padding, padding, 0)
    padded = lax.pad(image, jnp.array(-jnp.inf, image.dtype), pads)
    span = padded.shape[axis] - window + 1
    shifted = [every(padded, stride, axis=axis, start=i, stop=i + span) for i in range(window)]
    return reduce(_larger, shifted)


def _larger(a: jax.Array, b: jax.Array) -> jax.Array:
    """`jnp.maximum`, whose own gradient compares with the maximum; nan if either is."""
    return jnp.where((a >= b) | jnp.isnan(a), a, b)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _max_pool(image: jax.Array, window: int) -> jax.Array:
    return _blocks(image, window).max(axis=_inside(image))


@_max_pool.defjvp
def _jvp(
    window: int, images: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """The tangent is that of the first largest voxel; its transpose is a selection, too."""
    (image,), (tangent,) = images, tangents
    axes = _inside(image)
    # Numbers of the voxels of a block, in the layout of `_blocks`.
    places = np.arange(window ** len(axes), dtype=np.uint8)
    places = places.reshape(1, *(1, window) * len(axes), 1)
    is_first = jnp.expand_dims(_first_largest(image, window), axes) == places
    zero = jnp.zeros((), tangent.dtype)
    return _max_pool(image, window), jnp.where(is_first, _blocks(tangent, window), zero).sum(axes)


def _first_largest(image: jax.Array, window: int) -> jax.Array:
    """Number of the largest voxel of every block: all that the derivative needs."""
    best, *others = _parts(image, window)
    number = jnp.zeros(best.shape, jnp.uint8)
    for i, part in enumerate(others, start=1):
        number = jnp.where(part > best, jnp.uint8(i), number)
        best = jnp.maximum(part, best)
    return number


def _inside(image: jax.Array) -> tuple[int, ...]:
    """Axes inside the blocks of `_blocks`."""
    return tuple(range(2, 2 * (image.ndim - 1), 2))


def _blocks(image: jax.Array, window: int) -> jax.Array:
    """(n, s…, c) → (n, s / window, window, …, c)."""
    n, *spatial, channels = image.shape
    return image.reshape(n, *(k for s in spatial for k in (s // window, window)), channels)


def _parts(image: jax.Array, window: int) -> Iterator[jax.Array]:
    """Voxel 0, 1, … of every block, each of the shape of the pooled image."""
    blocks = _blocks(image, window)
    for place in product(range(window), repeat=image.ndim - 2):
        yield blocks[(slice(None), *(k for p in place for k in (slice(None), p)))]
