"""What a worse scanner would show: a volume filtered with a Gaussian, or sampled more coarsely.

Either is a product with one matrix per axis, whose size does not depend on what was drawn.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def blurred(image: Float[Array, "d h w c"], sigma: Float[Array, "c 3"]) -> Float[Array, "d h w c"]:
    """Gaussian filter of each axis, the image mirrored about its outermost voxels.

    Args:
      image: voxels.
      sigma: width per channel and axis, in voxels.

    Source: nnU-Net 2, GaussianBlurTransform of batchgeneratorsv2.
    """
    d, h, w, _ = image.shape
    return _product([blur_matrix(n, sigma[:, axis]) for axis, n in enumerate((d, h, w))], image)


def coarsened(image: Float[Array, "d h w c"], zoom: Float[Array, "c"]) -> Float[Array, "d h w c"]:
    """The nearest voxels of a coarser grid, interpolated linearly back to the image's own.

    Args:
      image: voxels.
      zoom: share of the voxels along each axis that a channel keeps, in (0, 1].

    Source: nnU-Net 2, SimulateLowResolutionTransform of batchgeneratorsv2; version 1 interpolates
    with cubic splines.
    """
    return _product([coarse_matrix(n, zoom) for n in image.shape[:3]], image)


def blur_matrix(size: int, sigma: Float[Array, "c"]) -> Float[Array, "c size size"]:
    """Gaussian filter of a line as a matrix for each channel.

    g(i − j) + g(i + j) + g(2 (size − 1) − i − j), the second but for the first voxel and the third
    but for the last; g(t) = exp(−t² / 2 σ²) up to |t| = ⌊3 σ + 1/4⌋, scaled to a sum of 1.
    """
    row, column = jnp.arange(size)[None, :, None], jnp.arange(size)[None, None, :]
    width = sigma[:, None, None]

    def gaussian(offset: Array) -> Array:
        inside = jnp.abs(offset) <= jnp.floor(3 * width + 0.25)
        return jnp.where(inside, jnp.exp(-0.5 * (offset / width) ** 2), 0.0)

    weights = gaussian(row - column)
    weights += jnp.where(column > 0, gaussian(row + column), 0.0)
    weights += jnp.where(column < size - 1, gaussian(2 * (size - 1) - row - column), 0.0)
    return weights / jnp.sum(weights, -1, keepdims=True)


def coarse_matrix(size: int, zoom: Float[Array, "c"]) -> Float[Array, "c size size"]:
    """Down to round(zoom · size) voxels and up again, as a matrix for each channel.

    With n coarse voxels, coarse voxel j is voxel ⌊(j + 1/2) size / n⌋, and voxel i lies at
    max(0, (i + 1/2) n / size − 1/2) among them.
    """
    num = jnp.maximum(jnp.round(zoom * size), 1.0)[:, None]
    place = jnp.maximum((jnp.arange(size)[None, :] + 0.5) * (num / size) - 0.5, 0.0)
    before = jnp.floor(place)
    past = (place - before)[..., None]

    def chosen(coarse: Array) -> Array:
        voxel = jnp.floor((jnp.minimum(coarse, num - 1) + 0.5) * (size / num))
        columns = jnp.arange(size, dtype=jnp.float32)[None, None, :]
        return (voxel[..., None] == columns).astype(jnp.float32)

    return (1 - past) * chosen(before) + past * chosen(before + 1)


def _product(matrices: list[Array], image: Array) -> Float[Array, "d h w c"]:
    """Each channel times its matrix of every axis."""
    # Accelerators multiply in fewer bits unless told.
    for axes, matrix in zip(
        ("cdi,ihwc->dhwc", "chi,diwc->dhwc", "cwi,dhic->dhwc"), matrices, strict=True
    ):
        image = jnp.einsum(axes, matrix, image, precision="highest")
    return image
