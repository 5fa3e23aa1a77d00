"""Taking an image and its mask from other places than the pixel centers."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from core import check


def resample(
    image: Float[Array, "h w c"],
    mask: Bool[Array, "h w"] | Integer[Array, "h w"] | Float[Array, "h w"],
    source: Float[Array, "h w 2"],
    *,
    fill: float,
) -> tuple[Float[Array, "h w c"], Array]:
    """Bilinear interpolation of image and mask at the same places.

    Every channel and the mask, together, are gathered once per corner of a place's cell. At 256²
    with one channel this takes 0.35 ms per image on two CPU cores; one gather of packed corners
    takes 0.6, and 2.3 with three channels against 0.5.

    Args:
      image: pixels.
      mask: 0 or 1, of any type.
      source: (row, column) in the image where each pixel of the result is taken from.
      fill: what the image is beyond its border; the mask is 0 there. Between the outermost pixels
        and their missing neighbors both fade.

    Returns:
      Image and mask of the given types. The mask is 1 where its interpolation is above one half: so
      its outline moves by fractions of a pixel, as the image does, and stays where it is when
      nothing moves.

    Raises:
      ValueError: the shapes do not belong together.
    """
    check.rank("image", image, 3)
    height, width, _ = image.shape
    if mask.shape != (height, width) or source.shape != (height, width, 2):
        raise ValueError(
            f"expected mask {(height, width)} and source {(height, width, 2)} for image "
            f"{image.shape}; got {mask.shape} and {source.shape}"
        )
    # A rim of one pixel: all that lies further out is equal to it.
    rim = ((1, 1), (1, 1), (0, 0))
    pixels = jnp.pad(image.astype(jnp.float32), rim, constant_values=fill)
    truth = jnp.pad(mask.astype(jnp.float32)[..., None], rim)
    layers = jnp.concatenate([pixels, truth], axis=-1).reshape(-1, image.shape[-1] + 1)
    row, row_part = _cell(source[..., 0], height)
    column, column_part = _cell(source[..., 1], width)
    stride = width + 2
    first = row * stride + column

    def corner(offset: int) -> Float[Array, "h w k"]:
        return jnp.take(layers, first + offset, axis=0, mode="clip")

    upper = corner(0) * (1 - column_part) + corner(1) * column_part
    lower = corner(stride) * (1 - column_part) + corner(stride + 1) * column_part
    found = upper * (1 - row_part) + lower * row_part
    return found[..., :-1].astype(image.dtype), (found[..., -1] > 0.5).astype(mask.dtype)


def _cell(
    place: Float[Array, "h w"], size: int
) -> tuple[Integer[Array, "h w"], Float[Array, "h w 1"]]:
    """Index, in the rimmed image, of the pixel before a place, and how far past it the place is."""
    place = jnp.clip(place, -1, size)
    before = jnp.clip(jnp.floor(place), -1, size - 1)
    return before.astype(jnp.int32) + 1, (place - before)[..., None]
