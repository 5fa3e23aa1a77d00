"""Resample a volume, its label and its gate at given positions."""

from functools import reduce
from itertools import product
from operator import add

import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from core import check


def center_crop(volume: Array, patch: tuple[int, int, int]) -> Array:
    """Middle of a volume, the voxel before it where the sizes differ by an odd number.

    Args:
      volume: (e, i, j) or (e, i, j, c).
      patch: shape (d, h, w) of the result.

    Raises:
      ValueError: a patch larger than the volume.

    >>> center_crop(jnp.arange(5).reshape(1, 1, 5), (1, 1, 2))
    Array([[[1, 2]]], dtype=int32)
    """
    first = crop_start(volume.shape[:3], patch)
    return volume[tuple(slice(f, f + size) for f, size in zip(first, patch, strict=True))]


def crop_start(shape: tuple[int, ...], patch: tuple[int, int, int]) -> tuple[int, ...]:
    """First voxel of the middle, ⌊size / 2⌋ − ⌊patch / 2⌋ along each axis, as nnU-Net crops.

    Raises:
      ValueError: a patch larger than the volume.
    """
    if any(p > size for p, size in zip(patch, shape, strict=True)):
        raise ValueError(f"cannot take a patch {tuple(patch)} from a volume {tuple(shape)}")
    return tuple(size // 2 - p // 2 for p, size in zip(patch, shape, strict=True))


def resample_volume(
    image: Float[Array, "e i j c"],
    label: Integer[Array, "e i j"],
    gate: Float[Array, "e i j"] | None,
    source: tuple[Float[Array, "d h w"], Float[Array, "d h w"], Float[Array, "d h w"]],
    *,
    image_fill: float,
    label_fill: int,
) -> tuple[Float[Array, "d h w c"], Integer[Array, "d h w"], Float[Array, "d h w"] | None]:
    """Linear interpolation of the image and the gate; of the labels the one with most weight.

    The label of a place is the arg-max over all ids of their interpolated indicators. It is voted
    for by the eight voxels around the place, so that it costs the same for two ids as for 120; the
    nearest voxel decides a tie. Channels, label and gate are gathered together, once per voxel
    around a place.

    Args:
      image: voxels, any number of channels.
      label: ids below 2²⁴.
      gate: map in [0, 1], such as an attention map; None, there is none.
      source: index along d, h and w in the volume from which each voxel of the result is taken.
      image_fill: what the image is beyond its border; the gate is 0 there.
      label_fill: what the label is there. Between the outermost voxels and their missing neighbors
        all three fade.

    Returns:
      Image and gate as float32, label of the given type.

    Raises:
      ValueError: shapes that do not belong together.

    Source: nnU-Net 2, SpatialTransform of batchgeneratorsv2.
    """
    check.rank("image", image, 4)
    maps = {"image": image[..., 0], "label": label} | ({} if gate is None else {"gate": gate})
    check.same_shape(**maps)
    channels, shape = image.shape[-1], label.shape
    layers = [_rimmed(image, image_fill), _rimmed(label[..., None], label_fill)]
    if gate is not None:
        layers.append(_rimmed(gate[..., None], 0.0))
    packed = jnp.concatenate(layers, axis=-1).reshape(-1, channels + len(layers) - 1)
    cells = [_cell(place, size) for place, size in zip(source, shape, strict=True)]
    strides = ((shape[1] + 2) * (shape[2] + 2), shape[2] + 2, 1)
    first = sum(before * stride for (before, _), stride in zip(cells, strides, strict=True))
    parts, votes = [], []
    for corner in product((0, 1), repeat=3):
        offset = sum(bit * stride for bit, stride in zip(corner, strides, strict=True))
        values = jnp.take(packed, first + offset, axis=0, mode="clip")
        part = [past if bit else 1 - past for bit, (_, past) in zip(corner, cells, strict=True)]
        weight = part[0] * part[1] * part[2]
        votes.append((values[..., channels], weight))
        parts.append(values * weight[..., None])
    total = reduce(add, parts)
    voted = _elected(votes).astype(label.dtype)
    return total[..., :channels], voted, None if gate is None else total[..., -1]


def _elected(votes: list[tuple[Array, Array]]) -> Array:
    """Id with the largest sum of weights; among equal sums that of the heaviest single vote."""
    winner, most, heaviest = votes[0][0], -1.0, -1.0
    for label, weight in votes:
        score = sum(jnp.where(other == label, share, 0.0) for other, share in votes)
        better = (score > most) | ((score == most) & (weight > heaviest))
        winner = jnp.where(better, label, winner)
        most, heaviest = jnp.where(better, score, most), jnp.where(better, weight, heaviest)
    return winner


def _rimmed(layer: Array, fill: float) -> Float[Array, "_ _ _ _"]:
    """With one more voxel on each side: all that lies further out is equal to it."""
    rim = ((1, 1), (1, 1), (1, 1), (0, 0))
    return jnp.pad(layer.astype(jnp.float32), rim, constant_values=fill)


def _cell(
    place: Float[Array, "d h w"], size: int
) -> tuple[Integer[Array, "d h w"], Float[Array, "d h w"]]:
    """Index, in the rimmed volume, of the voxel before a place, and how far past it that is."""
    place = jnp.clip(place, -1, size)
    before = jnp.clip(jnp.floor(place), -1, size - 1)
    return before.astype(jnp.int32) + 1, place - before
