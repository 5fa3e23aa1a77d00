"""What the network sees: a window of HU, turned and scaled with its mask, in three channels."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from core.augment.intensity import WHITE, brightness, contrast
from core.augment.resample import resample
from core.augment.volume_resample import resample_volume
from core.augment.volume_warp import affine_matrix
from core.augment.volume_warp import affine_source as volume_source
from core.augment.warp import affine_source
from core.random import stream
from core.types import Key
from lnmet.status.config import AugmentConfig, DataConfig

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of each channel in [0, 1], of what 2D weights were trained on."""
KINETICS = ((0.4345, 0.4051, 0.3775), (0.2768, 0.2713, 0.2737))
"""Likewise of Kinetics-700, for the 3D weights (Ref: 3D-ResNets-PyTorch)."""


def gray(hu: Num[Array, "n *s c"], cfg: DataConfig) -> Float[Array, "n *s c"]:
    """The window of HU as gray from 0 to 255; what lies outside it is one of the two."""
    low, high = cfg.window_hu
    return jnp.clip((hu.astype(jnp.float32) - low) / (high - low), 0, 1) * WHITE


def normalize(
    phases: Float[Array, "n *s p"], mask: Num[Array, "n *s"], cfg: DataConfig
) -> Float[Array, "n *s 3"]:
    """Three channels as the pretrained weights are used to: (x − mean) / deviation, x in [0, 1].

    The mask, where it is a channel, is normalized as the others are.

    Args:
      phases: gray from 0 to 255.
      mask: 1 in the tumor.
      cfg: which channels.
    """
    of_phases = [phases[..., p] / WHITE for p in range(phases.shape[-1])]
    channels = {
        "mask": [*of_phases, mask.astype(jnp.float32)],
        "mean": [*of_phases, sum(of_phases) / len(of_phases)],
        "venous": of_phases * 3,
    }[cfg.channels]
    means, deviations = KINETICS if phases.ndim == 5 else IMAGENET
    scaled = [(x - m) / sd for x, m, sd in zip(channels, means, deviations, strict=True)]
    return jnp.stack(scaled, axis=-1)


def augment(
    cfg: AugmentConfig, key: Key, phases: Float[Array, "n *s p"], mask: Num[Array, "n *s"]
) -> tuple[Float[Array, "n *s p"], Num[Array, "n *s"]]:
    """Turn, scale, mirror and change the intensities of every picture, or box, in its own way.

    A box is turned in its axial plane; scale and mirroring are of all its axes. Both phases change
    their contrast and brightness together.

    Args:
      cfg: ranges.
      key: of this step.
      phases: gray from 0 to 255.
      mask: 1 in the tumor; it moves with the phases.
    """
    warp = _warp_box if phases.ndim == 5 else _warp_picture

    def one(key: Key, phases: Array, mask: Array) -> tuple[Array, Array]:
        phases, mask = warp(stream(key, "warp"), phases, mask, cfg)
        for name, change in {"contrast": contrast, "brightness": brightness}.items():
            phases = change(stream(key, name), phases, largest=cfg.intensity, probability=1.0)
        return phases, mask

    return jax.vmap(one)(jax.random.split(key, len(phases)), phases, mask)


def _warp_picture(
    key: Key, phases: Float[Array, "h w p"], mask: Num[Array, "h w"], cfg: AugmentConfig
) -> tuple[Array, Array]:
    degrees, scale, mirrored = _drawn(key, cfg, 2)
    height, width = mask.shape
    source = affine_source((height, width), degrees=degrees, scale=scale, flipped=mirrored[1])
    source = jnp.where(mirrored[0], source[::-1], source)
    return resample(phases, mask, source, fill=0.0)


def _warp_box(
    key: Key, phases: Float[Array, "d h w p"], mask: Num[Array, "d h w"], cfg: AugmentConfig
) -> tuple[Array, Array]:
    degrees, scale, mirrored = _drawn(key, cfg, 3)
    angles = jnp.stack([jnp.deg2rad(degrees), jnp.zeros(()), jnp.zeros(())])
    # Of places in the source: where these lie closer, what is there is enlarged.
    affine = affine_matrix(angles, 1 / scale)
    depth, height, width = mask.shape
    source = volume_source(mask.shape, (depth, height, width), affine, mirrored)
    warped, label, _ = resample_volume(phases, mask, None, source, image_fill=0.0, label_fill=0)
    return warped, label


def _drawn(key: Key, cfg: AugmentConfig, num_axes: int) -> tuple[Array, Array, Array]:
    """Degrees, scale, and whether each axis is mirrored."""
    degrees = jax.random.uniform(stream(key, "degrees"), minval=-cfg.degrees, maxval=cfg.degrees)
    scale = jax.random.uniform(stream(key, "scale"), minval=cfg.scales[0], maxval=cfg.scales[1])
    mirrored = jax.random.bernoulli(stream(key, "mirror"), cfg.mirror_probability, (num_axes,))
    return degrees, scale, mirrored
