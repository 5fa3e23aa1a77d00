"""Every number of an augmentation that a public method lends to the papers."""

from dataclasses import dataclass
from typing import Literal

from core import check


@dataclass(frozen=True)
class VolumeAugmentConfig:
    """nnU-Net's augmentation of patches, in the order in which it is applied.

    Probabilities are per patch unless a field says per channel; factors, widths and exponents are
    drawn per channel, but for the noise.
    """

    scheme: Literal["nnunet", "none"] = "nnunet"
    """The whole list, or nothing but the middle of the loaded patch (Ref: nnU-Net 2, training and
    validation transforms)"""
    rotation_probability: float = 0.2
    """Of a rotation (Ref: nnU-Net 2)"""
    degrees: float = 30.0
    """Largest angle about each of the three axes (Ref: nnU-Net 2)"""
    scaling_probability: float = 0.2
    """Of a change of scale (Ref: nnU-Net 2)"""
    scales: tuple[float, float] = (0.7, 1.4)
    """Range of the scale, the same along all axes; above 1 objects shrink (Ref: nnU-Net 2)"""
    scale_draws: Literal["uniform", "halves"] = "uniform"
    """Over the whole range, or half of the draws below and half above 1, as in version 1 (Ref:
    nnU-Net 2)"""
    loading_scales: tuple[float, float] = (0.85, 1.25)
    """Scales that the loaded patch has room for (Ref: nnU-Net 2, which computes the patch to load
    with a range narrower than the one it draws from)"""
    noise_probability: float = 0.1
    """Of Gaussian noise (Ref: nnU-Net 2)"""
    noise_std: tuple[float, float] = (0.0, 0.1)
    """Range of its standard deviation, one for all channels (Ref: nnU-Net 2, where it is called a
    variance)"""
    blur_probability: float = 0.2
    """Of a Gaussian filter (Ref: nnU-Net 2)"""
    blur_channel_probability: float = 0.5
    """Of each channel, where a filter is applied (Ref: nnU-Net 2)"""
    blur_sigma_px: tuple[float, float] = (0.5, 1.0)
    """Range of the filter's width, per axis (Ref: nnU-Net 2)"""
    brightness_probability: float = 0.15
    """Of a multiplication (Ref: nnU-Net 2)"""
    brightness: tuple[float, float] = (0.75, 1.25)
    """Range of the factor, half of the draws below and half above 1 (Ref: nnU-Net 2)"""
    contrast_probability: float = 0.15
    """Of a change of contrast (Ref: nnU-Net 2)"""
    contrast: tuple[float, float] = (0.75, 1.25)
    """Range of the factor, half of the draws below and half above 1 (Ref: nnU-Net 2)"""
    low_resolution_probability: float = 0.25
    """Of a simulated low resolution (Ref: nnU-Net 2)"""
    low_resolution_channel_probability: float = 0.5
    """Of each channel, where one is simulated (Ref: nnU-Net 2)"""
    zooms: tuple[float, float] = (0.5, 1.0)
    """Range of the share of voxels that is kept along every axis (Ref: nnU-Net 2)"""
    inverted_gamma_probability: float = 0.1
    """Of a power of the negative image (Ref: nnU-Net 2)"""
    gamma_probability: float = 0.3
    """Of a power of the image (Ref: nnU-Net 2)"""
    gammas: tuple[float, float] = (0.7, 1.5)
    """Range of the exponent, half of the draws below and half above 1 (Ref: nnU-Net 2)"""
    mirror_probability: float = 0.5
    """Of each axis (Ref: nnU-Net 2)"""

    def __post_init__(self) -> None:
        check.literals(self)
        for name, value in vars(self).items():
            if name.endswith("_probability"):
                check.fraction(name, value)
            if isinstance(value, tuple) and not 0 <= value[0] <= value[1]:
                raise ValueError(f"{name} needs 0 <= low <= high; got {value}")
        if not 0 <= self.degrees <= 90:
            raise ValueError(f"degrees must lie in [0, 90]; got {self.degrees}")
        for name in ("scales", "loading_scales", "blur_sigma_px", "zooms"):
            check.positive(f"the low end of {name}", getattr(self, name)[0])
        if self.zooms[1] > 1:
            raise ValueError(f"zooms must not exceed 1; got {self.zooms}")
