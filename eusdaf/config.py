"""Every number of the EUSDAF paper that this package uses, with its address.

Addresses name the paper (Cancers 2022) unless they say Ref.
"""

from dataclasses import dataclass
from typing import Literal

from core import check


@dataclass(frozen=True)
class ModelConfig:
    """DAF-Net over a ResNeXt encoder, or one of its two baselines."""

    network: Literal["daf", "unet", "attention-unet"] = "daf"
    """DAF-Net, U-Net or Attention U-Net (Sec. 2.4, Table 2)"""
    width: int = 64
    """Channels of the first layer, doubled from stage to stage (Ref: He et al. 2016, Table 1;
    Ronneberger et al. 2015, Fig. 1)"""
    blocks: tuple[int, int, int, int] = (3, 4, 23, 3)
    """Residual blocks of the four stages of the encoder: ResNeXt-101 (Sec. 2.4, Fig. 2)"""
    groups: int = 32
    """Groups of its 3 × 3 convolutions (Not stated: 32, as in the code of the cited DAF network)"""
    group_width: int = 4
    """Channels of a group in the first stage: 32x4d; 8 gives 32x8d, with 64 groups 64x4d (Not
    stated: 4, as in the code of the cited DAF network)"""
    features: int = 64
    """Channels of every decoder layer of DAF-Net (Ref: the code of the cited DAF network)"""
    refine: Literal["conv3_conv3_conv1", "conv1"] = "conv3_conv3_conv1"
    """Layers from an attended feature to an attentional feature (Ref: the code of the cited DAF
    network; Sec. 2.4 names the last of the three only: conv1)"""
    upsampling: Literal["half_pixel", "align_corners"] = "half_pixel"
    """Which points linear interpolation lays on each other: the borders of the images, or the
    centers of their corner pixels (Not stated: the default of PyTorch 1.10, named in Sec. 2.4)"""
    decoder_init: Literal["default", "uniform01"] = "default"
    """Decoder weights at the start: U(±1/√fan_in), PyTorch's own, or U(0, 1) (Not stated: Sec. 2.4
    says "random values in the range of [0, 1]", with which logits begin near +10)"""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute type; parameters and logits stay float32 (Not stated: the safe one)"""

    def __post_init__(self) -> None:
        check.one_of("network", self.network, ("daf", "unet", "attention-unet"))
        for name in ("width", "groups", "group_width", "features"):
            check.positive(name, getattr(self, name))
        if len(self.blocks) != 4 or min(self.blocks) < 1:
            raise ValueError(f"blocks must be four numbers above zero; got {self.blocks}")
        check.one_of("refine", self.refine, ("conv3_conv3_conv1", "conv1"))
        check.one_of("upsampling", self.upsampling, ("half_pixel", "align_corners"))
        check.one_of("decoder_init", self.decoder_init, ("default", "uniform01"))
        check.one_of("dtype", self.dtype, ("float32", "bfloat16"))
