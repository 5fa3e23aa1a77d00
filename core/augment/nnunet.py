"""nnU-Net's augmentation of a patch, from the larger one that was loaded."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from core.augment.config import VolumeAugmentConfig
from core.augment.volume_blur import blurred, coarsened
from core.augment.volume_intensity import brightened, contrasted, noisy, powered
from core.augment.volume_resample import center_crop
from core.augment.volume_warp import about_one, uniform, warp_volume
from core.random import stream
from core.types import Key

Change = Callable[[Key, Array], Array]


def nnunet(
    key: Key,
    image: Float[Array, "e i j c"],
    label: Integer[Array, "e i j"],
    gate: Float[Array, "e i j"] | None,
    *,
    patch: tuple[int, int, int],
    cfg: VolumeAugmentConfig,
    label_fill: int = 0,
) -> tuple[Float[Array, "d h w c"], Integer[Array, "d h w"], Float[Array, "d h w"] | None]:
    """Move image, label and gate together, then change the image's intensities.

    Rotation, scale and mirroring in one interpolation, then noise, blur, brightness, contrast, low
    resolution, gamma of the negative image and gamma. nnU-Net mirrors last; what lies between does
    the same to a mirrored image, but where a coarse voxel of the low resolution falls between two.

    Every change is computed and then taken or left, since an accelerator's program shall neither
    branch nor loop. A patch of 48³ with two channels takes some 17 ms of one CPU core, 6 of them to
    gather it and vote for its labels; leaving out what is not drawn would take 5 on average.

    Args:
      key: of this sample; vmap over keys and samples.
      image: normalized voxels of the patch as loaded (`core.augment.loading`).
      label: ids.
      gate: map in [0, 1] that moves with the image, such as an attention map; None, there is none.
      patch: shape (d, h, w) of the result.
      cfg: which, how often and how much.
      label_fill: label of what lies beyond the loaded patch; image and gate are 0 there.

    Returns:
      Image and gate as float32, label of the given type; with the scheme "none" the middle of the
      loaded patch.

    Raises:
      ValueError: a patch larger than the loaded one, or shapes that do not belong together.

    Source: nnU-Net 2, nnUNetTrainer.get_training_transforms.
    """
    if cfg.scheme == "none":
        middle = None if gate is None else center_crop(gate, patch).astype(jnp.float32)
        return center_crop(image, patch).astype(jnp.float32), center_crop(label, patch), middle
    image, label, gate = warp_volume(
        stream(key, "warp"), image, label, gate, patch=patch, cfg=cfg, label_fill=label_fill
    )
    return change_intensity(stream(key, "intensity"), image, cfg), label, gate


def change_intensity(
    key: Key, image: Float[Array, "d h w c"], cfg: VolumeAugmentConfig
) -> Float[Array, "d h w c"]:
    """Each of nnU-Net's changes of intensity, one after the other, in its share of the draws.

    Args:
      key: of this sample.
      image: voxels.
      cfg: how often and how much.

    Returns:
      The image; equal where nothing is drawn.
    """
    for name, probability, change in _changes(cfg):
        if probability == 0:
            continue  # leaves it out of the program
        drawn = jax.random.bernoulli(stream(key, f"whether {name}"), probability)
        image = jnp.where(drawn, change(stream(key, name), image), image)
    return image


def _changes(cfg: VolumeAugmentConfig) -> list[tuple[str, float, Change]]:
    """Name, probability and function of each, in nnU-Net's order."""

    def noise(key: Key, image: Array) -> Array:
        return noisy(stream(key, "voxels"), image, uniform(stream(key, "std"), cfg.noise_std, ()))

    def blur(key: Key, image: Array) -> Array:
        sigma = uniform(stream(key, "sigma"), cfg.blur_sigma_px, (image.shape[-1], 3))
        changed = blurred(image, sigma)
        return _in_channels(key, cfg.blur_channel_probability, changed, image)

    def brighten(key: Key, image: Array) -> Array:
        return brightened(image, about_one(key, cfg.brightness, image.shape[-1:]))

    def contrast(key: Key, image: Array) -> Array:
        return contrasted(image, about_one(key, cfg.contrast, image.shape[-1:]))

    def coarsen(key: Key, image: Array) -> Array:
        changed = coarsened(image, uniform(stream(key, "zoom"), cfg.zooms, image.shape[-1:]))
        return _in_channels(key, cfg.low_resolution_channel_probability, changed, image)

    def gamma(key: Key, image: Array) -> Array:
        return powered(image, about_one(key, cfg.gammas, image.shape[-1:]))

    return [
        ("noise", cfg.noise_probability, noise),
        ("blur", cfg.blur_probability, blur),
        ("brightness", cfg.brightness_probability, brighten),
        ("contrast", cfg.contrast_probability, contrast),
        ("low resolution", cfg.low_resolution_probability, coarsen),
        ("gamma of the negative", cfg.inverted_gamma_probability, lambda k, x: -gamma(k, -x)),
        ("gamma", cfg.gamma_probability, gamma),
    ]


def _in_channels(key: Key, probability: float, changed: Array, image: Array) -> Array:
    """The changed image in each channel's share of the draws."""
    drawn = jax.random.bernoulli(stream(key, "channels"), probability, image.shape[-1:])
    return jnp.where(drawn[None, None, None], changed, image)
