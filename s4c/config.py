"""Every number of the S4C papers that this package uses, with its address.

Addresses name the PDAC paper (Zhu et al., MICCAI 2019) unless they say PNET.
"""

from dataclasses import dataclass
from typing import Literal

from core import check


@dataclass(frozen=True)
class ModelConfig:
    """The segmentation network ResDSN: four resolution steps, sum skips, auxiliary outputs."""

    num_classes: int = 3
    """Background, pancreas, tumor; PNET adds the dilated duct (Sec. 2.1)"""
    width: int = 32
    """Channels of the first step, doubled at each pooling: 32, 64, 128, 256 (PNET Sec. 2.3)"""
    num_aux: Literal[1, 2] = 2
    """Auxiliary outputs in training: two at 64³, one at 32³ and 16³ (Sec. 2.2)"""
    aux_at: Literal["encoder", "decoder"] = "encoder"
    """Side on which they branch off (Not stated: as in the base network, arXiv 1712.00201)"""
    convs_step1: Literal[1, 2] = 2
    """Convolutions of the first encoder step (Not stated: two, as in the other steps)"""
    conv_bias: bool = False
    """Bias before a batch norm (Not stated: the norm's own shift makes it redundant)"""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute type; parameters and logits stay float32 (Not stated: the safe one)"""

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"num_classes must be at least 2; got {self.num_classes}")
        check.positive("width", self.width)
        check.one_of("num_aux", self.num_aux, (1, 2))
        check.one_of("aux_at", self.aux_at, ("encoder", "decoder"))
        check.one_of("convs_step1", self.convs_step1, (1, 2))
        check.one_of("dtype", self.dtype, ("float32", "bfloat16"))
