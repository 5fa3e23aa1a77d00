"""What a worse scanner would show: a volume filtered with a Gaussian, or sampled more coarsely."""

from functools import reduce
from operator import add

import jax.numpy as jnp
from jaxtyping import Array, Float

from core import check


def blurred(
    image: Float[Array, "d h w c"], sigma: Float[Array, "c 3"], *, largest: float
) -> Float[Array, "d h w c"]:
    """Gaussian filter, one axis after the other, the image mirrored about its outermost voxels.

    The filter reaches ⌊3 σ + 1/4⌋ voxels to either side and is scaled to a sum of 1.

    Args:
      image: voxels.
      sigma: width per channel and axis, in voxels.
      largest: width that none exceeds; tells the number of taps, of which those out of a filter's
        reach are 0.

    Raises:
      ValueError: an axis with fewer voxels than the filter reaches over.

    Source: nnU-Net 2, GaussianBlurTransform of batchgeneratorsv2.
    """
    check.positive("largest", largest)
    reach = int(3 * largest + 0.25)
    if min(image.shape[:3]) <= reach:
        raise ValueError(
            f"a filter that reaches {reach} voxels needs more than that along every axis; "
            f"got {image.shape[:3]}"
        )
    offsets = jnp.arange(-reach, reach + 1, dtype=jnp.float32)[:, None]
    for axis in range(3):
        width = sigma[None, :, axis]
        taps = jnp.exp(-0.5 * (offsets / width) ** 2)
        taps = jnp.where(jnp.abs(offsets) <= jnp.floor(3 * width + 0.25), taps, 0.0)
        taps = taps / jnp.sum(taps, axis=0, keepdims=True)
        around = [(reach, reach) if a == axis else (0, 0) for a in range(4)]
        padded, size = jnp.pad(image, around, mode="reflect"), image.shape[axis]
        shifted = (_part(padded, axis, tap, size) for tap in range(2 * reach + 1))
        parts = [part * taps[None, None, tap : tap + 1] for tap, part in enumerate(shifted)]
        image = reduce(add, parts)
    return image


def coarsened(image: Float[Array, "d h w c"], zoom: Float[Array, "c"]) -> Float[Array, "d h w c"]:
    """The nearest voxels of a coarser grid, interpolated linearly back to the image's own.

    Nearest and linear resampling of an axis are one matrix with two entries per row, whose size
    does not depend on the drawn number of coarse voxels.

    Args:
      image: voxels.
      zoom: share of the voxels along each axis that a channel keeps, in (0, 1].

    Source: nnU-Net 2, SimulateLowResolutionTransform of batchgeneratorsv2; version 1 interpolates
    with cubic splines.
    """
    d, h, w, _ = image.shape
    image = jnp.einsum("cde,eijc->dijc", coarse_matrix(d, zoom), image, precision="highest")
    image = jnp.einsum("chi,dijc->dhjc", coarse_matrix(h, zoom), image, precision="highest")
    return jnp.einsum("cwj,dhjc->dhwc", coarse_matrix(w, zoom), image, precision="highest")


def coarse_matrix(size: int, zoom: Float[Array, "c"]) -> Float[Array, "c size size"]:
    """Down to round(zoom · size) voxels and up again, as a matrix for each channel.

    With n coarse voxels, coarse voxel j is voxel ⌊(j + 1/2) size / n⌋, and voxel i lies at
    max(0, (i + 1/2) n / size − 1/2) among them.
    """
    num = jnp.maximum(jnp.round(zoom * size), 1.0)[:, None]
    place = jnp.maximum((jnp.arange(size)[None, :] + 0.5) * (num / size) - 0.5, 0.0)
    before = jnp.floor(place)
    past = (place - before)[..., None]

    def chosen(coarse: Float[Array, "c size"]) -> Float[Array, "c size size"]:
        voxel = jnp.floor((jnp.minimum(coarse, num - 1) + 0.5) * (size / num))
        columns = jnp.arange(size, dtype=jnp.float32)[None, None, :]
        return (voxel[..., None] == columns).astype(jnp.float32)

    return (1 - past) * chosen(before) + past * chosen(before + 1)


def _part(padded: Array, axis: int, first: int, size: int) -> Array:
    return padded[tuple(slice(first, first + size) if a == axis else slice(None) for a in range(4))]
