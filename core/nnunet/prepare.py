"""A case as a trained nnU-Net wants it, and its answer back on the grid of the images.

Transpose, crop to what is not zero, then normalize and resample (version 2) or resample and
normalize (version 1). The way back: resample, put into the uncropped volume, transpose.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Real
from scipy import ndimage

from core.errors import InputError
from core.nnunet.plans import Channel, Plans
from core.preprocess.crop import Box, bounding_box, crop, uncrop
from core.preprocess.fingerprint import normalize_ct
from core.preprocess.intensity import normalize, statistics
from core.preprocess.resample import Shape, coarse_axis, resample_image, shape_at
from core.preprocess.resample_back import label_on, value_on
from core.volume import Volume, reorient, same_grid

RAS = np.array([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
"""Direction of a volume whose (D, H, W) run to the head, the front and the right."""
EPSILON = 1e-8


class Prepared(NamedTuple):
    """A case in the order of axes in which the network sees it, and where it came from."""

    image: Float[np.ndarray, "d h w c"]
    box: Box
    """What was cropped, in the transposed volume."""
    shape: Shape
    """Of the transposed volume."""
    spacing_mm: tuple[float, float, float]
    """Of the transposed volume."""


def prepare(plans: Plans, images: Sequence[Volume]) -> Prepared:
    """Input of the network.

    Args:
      plans: of the network.
      images: its channels in order, on one grid, as `core.io.nifti.read` gives them.

    Raises:
      InputError: another number of images than the network has channels, or of different grids.
    """
    if len(images) != len(plans.channels):
        names = ", ".join(channel.name for channel in plans.channels)
        raise InputError(
            f"got {len(images)} images for a network of {len(plans.channels)}: {names}"
        )
    if not all(same_grid(images[0], image) for image in images):
        raise InputError("the images of a case differ in their grids", hint="resample them first")
    placed = [_placed(plans, image) for image in images]
    arrays = [volume.array.transpose(plans.transpose) for volume in placed]
    depth, height, width = (placed[0].spacing_mm[axis] for axis in plans.transpose)
    spacing_mm = depth, height, width
    is_filled = np.logical_or.reduce([array != 0 for array in arrays])
    box = bounding_box(is_filled) or Box((0, 0, 0), is_filled.shape)
    mask = None
    if any(channel.masked for channel in plans.channels):
        # Filling moves no border, so the box is the same before it, and much smaller.
        mask = np.asarray(ndimage.binary_fill_holes(crop(is_filled, box)))
    channels = [
        _channel(plans, channel, crop(array, box), mask, spacing_mm)
        for channel, array in zip(plans.channels, arrays, strict=True)
    ]
    return Prepared(np.stack(channels, axis=-1), box, is_filled.shape, spacing_mm)


def restore(
    plans: Plans, scores: Float[np.ndarray, "d h w k"], case: Prepared, like: Volume
) -> Volume:
    """Label map of the network's scores on the grid of an image.

    Args:
      plans: of the network.
      scores: logits (version 2) or probabilities (version 1), as large as the case's image.
      case: of `prepare`.
      like: one of the images that the case was made of.
    """
    spacings = case.spacing_mm, plans.spacing_mm
    # Version 2 asks for the coarse axis of the spacing it comes from, version 1 of the image's.
    axis = coarse_axis(*(spacings if plans.version == 1 else spacings[::-1]))
    label = label_on(scores, case.box.shape, axis=axis)  # type: ignore[arg-type]
    label = uncrop(label, case.box, case.shape, 0).transpose(np.argsort(plans.transpose))
    turned = reorient(_placed(plans, like).with_array(label), like.direction)
    return like.with_array(np.ascontiguousarray(turned.array))


def _placed(plans: Plans, volume: Volume) -> Volume:
    return reorient(volume, RAS) if plans.reorients else volume


def _channel(
    plans: Plans,
    channel: Channel,
    image: Real[np.ndarray, "d h w"],
    mask: Bool[np.ndarray, "d h w"] | None,
    spacing_mm: tuple[float, float, float],
) -> Float[np.ndarray, "e i j"]:
    """A cropped image, normalized and resampled in the order of the version."""
    axis = coarse_axis(spacing_mm, plans.spacing_mm)
    shape = shape_at(image.shape, spacing_mm, plans.spacing_mm)
    if plans.version == 2:
        return resample_image(_normalized(channel, image, mask), shape, axis=axis)
    if mask is not None:
        mask = value_on(mask.astype(np.float32), shape, axis=axis) >= 0.5
    return _normalized(channel, resample_image(image, shape, axis=axis), mask)


def _normalized(
    channel: Channel, image: Real[np.ndarray, "d h w"], mask: Bool[np.ndarray, "d h w"] | None
) -> Float[np.ndarray, "d h w"]:
    inside = mask if channel.masked else None
    match channel.scheme:
        case "CT":
            assert channel.foreground is not None
            normalized = normalize_ct(image.astype(np.float32), channel.foreground)
        case "z-score":
            voxels = image if inside is None else image[inside][None]
            mean, std = statistics(voxels)
            normalized = normalize(image, mean, max(std, EPSILON))
        case "rescale":
            low, high = float(image.min()), float(image.max())
            normalized = normalize(image, low, max(high - low, EPSILON))
        case _:
            normalized = image.astype(np.float32)
    return normalized if inside is None else np.where(inside, normalized, np.float32(0))
