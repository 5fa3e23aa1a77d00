"""Max-pooling, channel last."""

from collections.abc import Iterator
from functools import reduce
from itertools import product

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from core import check


def max_pool(
    image: Float[Array, "n *s c"], *, window: int = 2, stride: int | None = None, padding: int = 0
) -> Float[Array, "n *t c"]:
    """Largest value of each window.

    The gradient is shared by all voxels of a window that have its largest value, in equal parts
    where windows are blocks side by side; PyTorch gives it to the first. After a ReLU such ties are
    common, and all zero.

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
    shifted = [lax.slice_in_dim(padded, i, i + span, stride, axis) for i in range(window)]
    return reduce(jnp.maximum, shifted)


def _largest(image: jax.Array, window: int) -> jax.Array:
    return _blocks(image, window).max(axis=tuple(range(2, 2 * (image.ndim - 1), 2)))


def _forward(image: jax.Array, window: int) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    out = _largest(image, window)
    return out, (image, out)


def _backward(window: int, saved: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple[jax.Array]:
    image, out = saved
    winners = sum((part == out).astype(jnp.float32) for part in _parts(image, window))
    # The barrier keeps the shares at low resolution; fused, XLA would count once per voxel.
    share = lax.optimization_barrier((grad / winners).astype(image.dtype))
    blocks = _blocks(image, window)
    spread = tuple(range(2, blocks.ndim - 1, 2))
    at_largest = blocks == jnp.expand_dims(out, spread)
    return (jnp.where(at_largest, jnp.expand_dims(share, spread), 0).reshape(image.shape),)


_max_pool = jax.custom_vjp(_largest, nondiff_argnums=(1,))
_max_pool.defvjp(_forward, _backward)


def _blocks(image: jax.Array, window: int) -> jax.Array:
    """(n, s…, c) → (n, s / window, window, …, c)."""
    n, *spatial, channels = image.shape
    return image.reshape(n, *(k for s in spatial for k in (s // window, window)), channels)


def _parts(image: jax.Array, window: int) -> Iterator[jax.Array]:
    """Voxel 0, 1, … of every block, each of the shape of the pooled image."""
    blocks = _blocks(image, window)
    for place in product(range(window), repeat=image.ndim - 2):
        yield blocks[(slice(None), *(k for p in place for k in (slice(None), p)))]
