"""Linear interpolation of images to another size, channel last."""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Grid = Literal["half_pixel", "align_corners"]


def resize(
    image: Float[Array, "n h w c"], size: tuple[int, int], grid: Grid
) -> Float[Array, "n p q c"]:
    """Bilinear interpolation, a small matrix product per axis, without smoothing.

    Args:
      image: pixels.
      size: rows and columns wanted.
      grid: `half_pixel` lays the borders of the two images on each other, `align_corners` the
        centers of their corner pixels; PyTorch's `align_corners=False` and `True`.

    Returns:
      The image at `size`; at its own size unchanged.
    """
    if image.shape[1:3] == size:
        return image
    rows, columns = (
        jnp.asarray(weights(old, new, grid), image.dtype)
        for old, new in zip(image.shape[1:3], size, strict=True)
    )
    image = jnp.einsum("ph,nhwc->npwc", rows, image)
    return jnp.einsum("qw,npwc->npqc", columns, image)


def weights(old: int, new: int, grid: Grid) -> Float[np.ndarray, "new old"]:
    """What every old pixel adds to every new one; two entries a row at most, summing to one."""
    if grid == "half_pixel":
        place = (np.arange(new) + 0.5) * old / new - 0.5
    else:
        place = np.arange(new) * ((old - 1) / max(new - 1, 1))
    place = np.clip(place, 0, old - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(old)))
