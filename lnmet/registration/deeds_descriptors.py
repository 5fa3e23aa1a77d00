"""MIND-SSC of DEEDS: 60 bits that tell how a voxel's surroundings resemble each other.

Twelve squared differences of patches around a voxel (self-similarity context), relative to their
mean, in six levels each. Contrast changes leave them alone, and the number of bits in which two
voxels differ is their dissimilarity.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, UInt32

SHIFTS = ((0, 1, 1), (0, 1, -1), (1, -1, 0), (1, 0, -1), (1, 1, 0), (1, 0, 1))
"""Between the two patches of each difference, (z, y, x) in descriptor steps."""

CENTERS = (
    *((0, -1, 0), (0, 0, -1), (0, -1, 0), (0, 0, 1), (-1, 0, 0), (0, 1, 0)),
    *((-1, 0, 0), (0, 0, 1), (-1, 0, 0), (0, -1, 0), (-1, 0, 0), (0, 0, -1)),
)
"""Where the differences of each shift are read, twice, around a voxel; likewise."""

THRESHOLDS = tuple(-math.log((i + 1.5) / 6) for i in range(5))
"""Between the six levels of a channel: equal steps of exp(−value)."""

SMALLEST_MEAN = 1e-6
"""Of the channels: what they are divided by where nothing differs."""


def descriptors(image: Float[Array, "d h w"], step: int) -> UInt32[Array, "2 d h w"]:
    """MIND-SSC of every voxel, 5 bits for each of 12 channels.

    Channels are differences less the smallest of the twelve, divided by their mean. One with k
    thresholds above it has its k lowest bits set. Twelve float32 copies of the image are held at
    most: channels are read from the six fields of differences again for each of these steps.

    Args:
      image: of any unit.
      step: radius of the patches and distance between them, in voxels.

    Returns:
      Two words; the first holds channels 0 … 5 from the lowest bits upward, the second 6 … 11.

    Source: Heinrich et al., MICCAI 2013; deedsBCV.
    """
    padded = jnp.pad(image, step)
    shifts, centers = (step * jnp.asarray(offsets, jnp.int32) for offsets in (SHIFTS, CENTERS))
    differences = lax.map(
        lambda shift: jnp.pad(_patch_difference(padded, shift, step), step), shifts
    )

    def channel(i: Array) -> Array:
        return _shifted(differences[i // 2], centers[i], step)

    def reduced(add: Callable[[Array, Array], Array], start: float) -> Array:
        full = jnp.full(image.shape, start, jnp.float32)
        return lax.fori_loop(0, len(CENTERS), lambda i, so_far: add(so_far, channel(i)), full)

    smallest = reduced(jnp.minimum, jnp.inf)
    total = reduced(lambda so_far, value: so_far + (value - smallest), 0.0)
    mean = jnp.maximum(total / len(CENTERS), SMALLEST_MEAN)

    def word(first: Array) -> Array:
        def add(i: Array, bits: Array) -> Array:
            code = _thermometer((channel(first + i) - smallest) / mean)
            return bits | code << (5 * i).astype(jnp.uint32)

        return lax.fori_loop(0, 6, add, jnp.zeros(image.shape, jnp.uint32))

    return lax.map(word, jnp.asarray([0, 6]))


def _thermometer(value: Float[Array, "d h w"]) -> UInt32[Array, "d h w"]:
    """The lowest k of 5 bits set, where k thresholds are above the value."""
    code = jnp.zeros(value.shape, jnp.uint32)
    # The thresholds fall, so that those above a value are the first of them.
    for bit, threshold in enumerate(THRESHOLDS):
        code |= (value < np.float32(threshold)).astype(jnp.uint32) << bit
    return code


def _patch_difference(
    padded: Float[Array, "dp hp wp"], shift: Int[Array, "3"], step: int
) -> Float[Array, "d h w"]:
    """Σ (I(x + shift) − I(x))² over a cube of `step` to each side, less at the borders."""
    image = lax.slice(padded, (step,) * 3, [size - step for size in padded.shape])
    squares = jnp.pad((_shifted(padded, shift, step) - image) ** 2, step)
    for axis in range(3):
        size = squares.shape[axis] - 2 * step
        terms = [
            lax.slice_in_dim(squares, start, start + size, axis=axis)
            for start in range(2 * step + 1)
        ]
        squares = sum(terms[1:], terms[0])
    return squares


def _shifted(
    padded: Float[Array, "dp hp wp"], shift: Int[Array, "3"], margin: int
) -> Float[Array, "d h w"]:
    """V(x + shift), and V(x) where that is outside.

    Args:
      padded: V with a margin to each side.
      shift: at most the margin.
      margin: in voxels.
    """
    shape = [size - 2 * margin for size in padded.shape]
    inside = jnp.ones((1, 1, 1), bool)
    for axis, size in enumerate(shape):
        place = lax.broadcasted_iota(jnp.int32, (1,) * axis + (size,) + (1,) * (2 - axis), axis)
        inside &= (place + shift[axis] >= 0) & (place + shift[axis] < size)
    there = lax.dynamic_slice(padded, shift + margin, shape)
    return jnp.where(inside, there, lax.slice(padded, (margin,) * 3, [margin + n for n in shape]))
