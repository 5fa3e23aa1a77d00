"""Jittered corners, a smooth displacement and an enlarged crop of an image and its labels.

Done by albumentations one after the other, with an interpolation each; here in one.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from core import check
from core.augment.elastic import displacement
from core.augment.resample import resample_reflected
from core.random import stream
from core.types import Key


def jitter(
    key: Key,
    image: Float[Array, "h w"],
    label: Shaped[Array, "h w"],
    *,
    corners_px: float,
    reach_px: float,
    sigma_px: float,
    crop_px: int,
    probability: float,
) -> tuple[Float[Array, "h w"], Shaped[Array, "h w"]]:
    """Deform in a share of the draws, crop and enlarge in a share of the draws.

    The deformation is an affine map of three jittered corners, then a displacement. What this one
    interpolation differs in from the chain of three: it blurs once, not thrice; the field of the
    displacement is drawn on the grid of the result, not of the crop; and labels are taken at the
    nearest pixel of the original. Beyond the border the image is mirrored about its outermost
    pixels.

    Args:
      key: of this sample.
      image: pixels.
      label: ids of any type.
      corners_px: largest shift of a coordinate of a corner (`corner_map`).
      reach_px: of the displacement (`core.augment.elastic`, the literal reading).
      sigma_px: of the displacement.
      crop_px: side of the crop.
      probability: of either.

    Returns:
      Image and label, shapes and types unchanged; where nothing is drawn, equal.

    Raises:
      ValueError: a probability outside [0, 1], a crop larger than the image, corners that could
        meet, or shapes that do not belong together.

    Source: albumentations 0.4.6, ElasticTransform, RandomCrop and Resize.
    """
    check.fraction("probability", probability)
    shape = (image.shape[0], image.shape[1])
    deformed, cropped = (
        jax.random.bernoulli(stream(key, f"whether {name}"), probability)
        for name in ("deformed", "cropped")
    )
    place = _crop_places(stream(key, "crop"), shape, crop_px, cropped)
    field = displacement(
        stream(key, "elastic"), shape, reading="literal", reach_px=reach_px, sigma_px=sigma_px
    )
    start, per_row, per_column = corner_map(stream(key, "corners"), shape, corners_px=corners_px)
    moved = place + field
    moved = start + moved[..., :1] * per_row + moved[..., 1:] * per_column
    return resample_reflected(image, label, jnp.where(deformed, moved, place))


def corner_map(
    key: Key, shape: tuple[int, int], *, corners_px: float
) -> tuple[Float[Array, "1 1 2"], Float[Array, "1 1 2"], Float[Array, "1 1 2"]]:
    """Affine map of places in the result to places in the image.

    Three corners p of a square in the middle, whose half side is a third of the image's smaller
    side, move by U(−corners_px, corners_px) in each coordinate; the map takes them back to p.

    Args:
      key: of this sample.
      shape: (h, w) of the image.
      corners_px: largest shift.

    Returns:
      Where (0, 0) comes from, and how far that moves with a row and with a column of the result,
      each (row, column).

    Raises:
      ValueError: corners that could come to lie on a line.
    """
    half = min(shape) // 3
    if not 0 <= corners_px < half / 2:
        raise ValueError(f"corners_px must lie in [0, {half / 2}) at {shape}; got {corners_px}")
    below, right = half + shape[0] // 2, half + shape[1] // 2
    above, left = below - 2 * half, right - 2 * half
    corners = jnp.array([[below, right], [above, right], [above, left]], jnp.float32)
    moved = corners + jax.random.uniform(key, (3, 2), minval=-corners_px, maxval=corners_px)
    # The edges from the second corner are (2 half, 0) and (0, −2 half) in the image.
    (a, b), (c, d) = moved[0] - moved[1], moved[2] - moved[1]
    scale = 2 * half / (a * d - b * c)
    per_row, per_column = scale * jnp.stack([d, b]), scale * jnp.stack([-c, -a])
    start = corners[1] - moved[1, 0] * per_row - moved[1, 1] * per_column
    return start.reshape(1, 1, 2), per_row.reshape(1, 1, 2), per_column.reshape(1, 1, 2)


def _crop_places(
    key: Key, shape: tuple[int, int], crop_px: int, cropped: Array
) -> Float[Array, "h w 2"]:
    """Where each pixel of an enlarged crop lies in the image; half-pixel centers, edges kept."""
    axes = []
    for axis, size in enumerate(shape):
        if not 0 < crop_px <= size:
            raise ValueError(f"crop_px must lie in [1, {size}]; got {crop_px}")
        first = jax.random.randint(jax.random.fold_in(key, axis), (), 0, size - crop_px + 1)
        inside = jnp.clip((jnp.arange(size) + 0.5) * (crop_px / size) - 0.5, 0, crop_px - 1)
        axes.append(jnp.where(cropped, first + inside, jnp.arange(size)))
    return jnp.stack(jnp.meshgrid(*axes, indexing="ij"), axis=-1)
