"""Rotation, scale and mirroring of a volume, its label and its gate, in one interpolation."""

from functools import reduce
from operator import add

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from core.augment.config import VolumeAugmentConfig
from core.augment.volume_resample import crop_start, resample_volume
from core.random import stream
from core.types import Key


def warp_volume(
    key: Key,
    image: Float[Array, "e i j c"],
    label: Integer[Array, "e i j"],
    gate: Float[Array, "e i j"] | None,
    *,
    patch: tuple[int, int, int],
    cfg: VolumeAugmentConfig,
    image_fill: float = 0.0,
    label_fill: int = 0,
) -> tuple[Float[Array, "d h w c"], Integer[Array, "d h w"], Float[Array, "d h w"] | None]:
    """Draw a rotation, a scale and mirrored axes, and cut the patch out of what they make.

    The patch is turned about the middle of the loaded one. Where neither rotation nor scale is
    drawn it equals the middle of the loaded patch, mirrored or not: weights are 0 and 1 there.

    Args:
      key: of this sample.
      image: the patch as loaded (`core.augment.loading`).
      label: ids.
      gate: map in [0, 1] that moves with the image; None, there is none.
      patch: shape (d, h, w) of the result.
      cfg: probabilities and ranges.
      image_fill: what the image is beyond the loaded patch; the gate is 0 there.
      label_fill: what the label is there.

    Returns:
      Image and gate as float32, interpolated linearly (nnU-Net 1 takes cubic splines); label of
      the given type.

    Raises:
      ValueError: a patch larger than the loaded one, or shapes that do not belong together.

    Source: nnU-Net 2, SpatialTransform and MirrorTransform of batchgeneratorsv2.
    """
    affine = _drawn_affine(key, cfg)
    mirrored = jax.random.bernoulli(stream(key, "mirror"), cfg.mirror_probability, (3,))
    source = affine_source(label.shape, patch, affine, mirrored)
    return resample_volume(image, label, gate, source, image_fill=image_fill, label_fill=label_fill)


def affine_source(
    shape: tuple[int, ...],
    patch: tuple[int, int, int],
    affine: Float[Array, "3 3"],
    mirrored: Bool[Array, "3"],
) -> tuple[Float[Array, "d h w"], Float[Array, "d h w"], Float[Array, "d h w"]]:
    """Where each voxel of the patch comes from: A x about the middle, x negated where mirrored.

    Args:
      shape: of the loaded patch.
      patch: shape of the final one.
      affine: A, of (d, h, w) column vectors in voxels.
      mirrored: axes of the patch that are mirrored.

    Returns:
      Index along each axis of the loaded patch.

    Raises:
      ValueError: a patch larger than the loaded one.
    """
    steps = [
        ((jnp.arange(size) - (size - 1) / 2) * jnp.where(mirrored[axis], -1, 1)).reshape(
            [size if a == axis else 1 for a in range(3)]
        )
        for axis, size in enumerate(patch)
    ]
    # A matrix product would multiply in fewer bits on an accelerator.
    middle = [first + (p - 1) / 2 for first, p in zip(crop_start(shape, patch), patch, strict=True)]
    d, h, w = (
        reduce(add, [affine[axis, along] * steps[along] for along in range(3)]) + middle[axis]
        for axis in range(3)
    )
    return d, h, w


def affine_matrix(
    angles: Float[Array, "3"], scale: float | Float[Array, ""]
) -> Float[Array, "3 3"]:
    """Matrix s R₂ R₁ R₀ of the angles about the axes d, h and w, in radians.

    Source: nnU-Net 2, create_affine_matrix_3d of batchgeneratorsv2.
    """
    (c0, c1, c2), (s0, s1, s2) = jnp.cos(angles), jnp.sin(angles)
    about_d = jnp.array([[1, 0, 0], [0, c0, -s0], [0, s0, c0]])
    about_h = jnp.array([[c1, 0, s1], [0, 1, 0], [-s1, 0, c1]])
    about_w = jnp.array([[c2, -s2, 0], [s2, c2, 0], [0, 0, 1]])
    return scale * jnp.linalg.multi_dot([about_w, about_h, about_d], precision="highest")


def _drawn_affine(key: Key, cfg: VolumeAugmentConfig) -> Float[Array, "3 3"]:
    """Rotation and scale, each the identity where it is not drawn."""
    reach = jnp.deg2rad(cfg.degrees)
    angles = jax.random.uniform(stream(key, "angles"), (3,), minval=-reach, maxval=reach)
    turned = jax.random.bernoulli(stream(key, "whether turned"), cfg.rotation_probability)
    draw = uniform if cfg.scale_draws == "uniform" else about_one
    scale = draw(stream(key, "scale"), cfg.scales, ())
    scaled = jax.random.bernoulli(stream(key, "whether scaled"), cfg.scaling_probability)
    return affine_matrix(jnp.where(turned, angles, 0.0), jnp.where(scaled, scale, 1.0))


def uniform(key: Key, limits: tuple[float, float], shape: tuple[int, ...]) -> Float[Array, "*s"]:
    """Numbers from the whole range."""
    return jax.random.uniform(key, shape, minval=limits[0], maxval=limits[1])


def about_one(key: Key, limits: tuple[float, float], shape: tuple[int, ...]) -> Float[Array, "*s"]:
    """Numbers of which half are from the part below 1 and half from the part above it.

    Where the range has nothing below 1, all are from the part above.

    Source: nnU-Net 2, BGContrast of batchgeneratorsv2.
    """
    low, high = limits
    below = jax.random.bernoulli(stream(key, "below"), 0.5, shape) & (low < 1)
    above = uniform(stream(key, "factor above"), (max(low, 1.0), high), shape)
    return jnp.where(below, uniform(stream(key, "factor below"), (low, 1.0), shape), above)
