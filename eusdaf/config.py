"""Every number of the EUSDAF paper that this package uses, with its address.

Addresses name the paper (Cancers 2022) unless they say Ref.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

from core import check
from core.train.config import RunConfig


def check_lesion_value(value: str) -> None:
    """Refuse what is neither a number nor a color, with ValueError."""
    if not re.fullmatch("[0-9]{1,5}|#[0-9a-f]{6}", value):
        raise ValueError(f"lesion_value is a number or a color like #ff0000; got {value!r}")


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
        check.literals(self)
        for name in ("width", "groups", "group_width", "features"):
            check.positive(name, getattr(self, name))
        if len(self.blocks) != 4 or min(self.blocks) < 1:
            raise ValueError(f"blocks must be four numbers above zero; got {self.blocks}")


@dataclass(frozen=True)
class SplitConfig:
    """Cross-validation by patient."""

    num_folds: int = 5
    """Folds; images of a patient stay together (Sec. 2.3)"""
    seed: int = 0
    """Of the shuffle (Not stated: any)"""

    def __post_init__(self) -> None:
        check.at_least("num_folds", self.num_folds, 2)


@dataclass(frozen=True)
class PrepareConfig:
    """From a file to a picture that a network can read."""

    size: int = 256
    """Rows and columns that every picture is resized to (Sec. 2.3)"""
    lesion_value: str | None = None
    """Value of the masks that is the lesion, where they have several: a gray or an id of a palette,
    2, or a color, #ff0000 (Not stated: masks of two values need none)"""

    def __post_init__(self) -> None:
        check.divisible("size", (self.size,), 32, "five halvings")
        if self.lesion_value is not None:
            check_lesion_value(self.lesion_value)


@dataclass(frozen=True)
class DataConfig:
    """From prepared pictures to the batches of a step."""

    batch: int = 32
    """Pictures per step, over all devices (Sec. 2.4)"""
    lesions_only: bool = False
    """Leave out training pictures whose mask is empty (Not stated: the paper has none of those)"""

    def __post_init__(self) -> None:
        check.positive("batch", self.batch)


@dataclass(frozen=True)
class AugmentConfig:
    """Random rotation, scale, flip and elastic deformation of every training picture."""

    degrees: tuple[float, ...] = (-5.0, -2.5, 0.0, 2.5, 5.0)
    """Angles to draw from (Sec. 2.3)"""
    scales: tuple[float, ...] = (0.9, 1.0, 1.1)
    """Factors to draw from (Sec. 2.3)"""
    flip: bool = True
    """Mirror left and right, in half of the draws (Sec. 2.3)"""
    elastic: Literal["simard", "literal", "none"] = "simard"
    """Scale the filtered field to its reach, or filter a field of that reach (Not stated: the
    literal order of Sec. 2.3 leaves a displacement of 0.016 pixels, that is none)"""
    reach_px: float = 2.048
    """Reach of the elastic displacement at 256 × 256 (Sec. 2.3)"""
    sigma_px: float = 20.48
    """Standard deviation of the Gaussian filter at 256 × 256 (Sec. 2.3)"""

    def __post_init__(self) -> None:
        for scale in self.scales:
            check.positive("a scale", scale)
        check.literals(self)
        check.positive("sigma_px", self.sigma_px)


@dataclass(frozen=True)
class LossConfig:
    """Sum of the Dice losses of all maps: eight for DAF-Net, one for a U-Net (Eq. 2)."""

    smooth: float = 1.0
    """Smooth factor of the Dice loss (Eq. 1)"""

    def __post_init__(self) -> None:
        check.positive("smooth", self.smooth)


@dataclass(frozen=True)
class OptimConfig:
    """The optimizer, and a learning rate that falls in steps."""

    algorithm: Literal["sgd", "adam"] = "sgd"
    """Stochastic gradient descent with momentum, or Adam (Sec. 2.4: the former)"""
    learning_rate: float = 0.007
    """At the first epoch (Sec. 2.4)"""
    drop_epochs: tuple[int, ...] = (5, 20)
    """Epochs, the first is 1, at whose start the rate falls (Sec. 2.4)"""
    drop_factor: float = 0.02
    """What it is multiplied with (Sec. 2.4)"""
    momentum: float = 0.9
    """Of gradient descent (Sec. 2.4)"""
    weight_decay: float = 0.01
    """Added to the gradient, times the parameter (Sec. 2.4)"""
    decay_biases: bool = True
    """Whether biases, norms and slopes decay too (Not stated: "a weight decay"; the code of the
    cited DAF network spares biases)"""

    def __post_init__(self) -> None:
        check.literals(self)
        check.positive("learning_rate", self.learning_rate)
        check.positive("drop_factor", self.drop_factor)
        check.fraction("momentum", self.momentum)
        if any(epoch < 1 for epoch in self.drop_epochs):
            raise ValueError(f"drop_epochs count from 1; got {self.drop_epochs}")


@dataclass(frozen=True)
class InferConfig:
    """From probabilities to a mask and a decision."""

    threshold: float = 0.5
    """Probability from which a pixel is tumor (Not stated: the middle)"""
    clip_fraction: float = 0.05
    """Share of the frames of a clip that must show a lesion for the clip to show one (Not stated:
    Fig. 8 looks at single frames; a false alarm of one frame in twenty does not decide)"""
    batch: int = 8
    """Pictures per device at a time (Not stated: bounds the memory, changes no result)"""

    def __post_init__(self) -> None:
        check.fraction("threshold", self.threshold)
        check.fraction("clip_fraction", self.clip_fraction)
        check.positive("batch", self.batch)


@dataclass(frozen=True)
class Config:
    """One network: how it is trained and how it is asked."""

    run: RunConfig = field(
        default_factory=lambda: RunConfig(epochs=50, log_every=10, checkpoint_every=100)
    )
    """Epochs, seed, logging and checkpoints (Sec. 2.4: 50 epochs)"""
    split: SplitConfig = field(default_factory=SplitConfig)
    """Cross-validation (Sec. 2.3)"""
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    """Size of the pictures (Sec. 2.3)"""
    data: DataConfig = field(default_factory=DataConfig)
    """Batches (Sec. 2.4)"""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Augmentation (Sec. 2.3)"""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Network (Fig. 2)"""
    loss: LossConfig = field(default_factory=LossConfig)
    """Loss (Eq. 1 and 2)"""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimizer (Sec. 2.4)"""
    infer: InferConfig = field(default_factory=InferConfig)
    """Masks and decisions (Not stated: see the fields)"""
