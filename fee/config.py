"""Every number of the FEE-DL paper that this package uses, with its address.

Addresses name headings of the paper (Theranostics 2021) unless they say Ref.
"""

from dataclasses import dataclass, field
from typing import Literal

from core import check
from core.train.config import RunConfig

Flip = Literal["auto", "none", "d", "h", "w", "dh", "dw", "hw", "dhw"]

PHASES = ("arterial", "venous", "delayed")


@dataclass(frozen=True)
class ScreenConfig:
    """Which series of a patient's folder are looked at."""

    size: int = 512
    """Rows and columns that an image must have; 0 takes any size (Methods, Image screening: 512 ×
    512)"""
    phases: tuple[str, ...] = PHASES
    """Contrast phases that are used (Methods, Image screening)"""
    unknown: Literal["use", "skip"] = "use"
    """What to do with a series whose phase nothing tells (Not stated: the paper's series all had
    a telling description; skipping loses patients)"""
    min_slices: int = 8
    """Fewer images are no volume (Not stated: localizers and bolus tracking have fewer)"""

    def __post_init__(self) -> None:
        check.at_least("size", self.size, 0)
        for phase in self.phases:
            check.one_of("a phase", phase, (*PHASES, "native"))
        check.literals(self)
        check.positive("min_slices", self.min_slices)


@dataclass(frozen=True)
class PrepareConfig:
    """From HU to the 8-bit slices that all three networks see."""

    window_hu: tuple[float, float] = (-100.0, 240.0)
    """What becomes 0 and 255 (Not stated: "we enhanced the contrast"; a soft-tissue window)"""
    size: int = 512
    """Rows and columns of a slice (Methods, Dataset preparation: 512 × 512)"""
    label_flip: Flip = "auto"
    """Axes of the labels of NIH Pancreas-CT, as stored, that run against the images (Not stated:
    told by the HU inside)"""

    def __post_init__(self) -> None:
        low, high = self.window_hu
        if not low < high:
            raise ValueError(f"window_hu needs low < high; got [{low}, {high}]")
        check.divisible("size", (self.size,), 32, "five halvings")
        check.literals(self)


@dataclass(frozen=True)
class SplitConfig:
    """Training, validation and test part of a data set."""

    parts: tuple[int, int, int] = (6, 2, 2)
    """Ratio of the three (Results, Sub-networks: 6:2:2)"""
    by: Literal["patient", "image"] = "patient"
    """What is kept together. The paper splits images, which puts slices of one patient on both
    sides (Not stated: by patient, since the other leaks)"""
    seed: int = 0
    """Of the shuffle (Not stated: any)"""

    def __post_init__(self) -> None:
        if len(self.parts) != 3 or self.parts[0] < 1 or min(self.parts) < 0:
            raise ValueError(f"parts must be three counts, the first above 0; got {self.parts}")
        check.literals(self)


@dataclass(frozen=True)
class DataConfig:
    """From prepared slices to the batches of a step."""

    batch: int
    """Slices per step, over all devices (Methods, Architectures)"""
    slices: Literal["all", "pancreas"]
    """Learn from all slices, or from those that show the pancreas (Methods, Image screening: the
    second and third network see only these)"""
    tumor_slices: Literal["patient", "visible"] = "patient"
    """When a slice counts as one of a tumor: if its patient has one, or if the tumor is seen in it,
    where the data set says so (Methods, Dataset preparation: the patients were labeled)"""

    def __post_init__(self) -> None:
        check.positive("batch", self.batch)
        check.literals(self)


@dataclass(frozen=True)
class AugmentConfig:
    """Four operations on training slices; lengths are pixels of a 512 × 512 slice."""

    brightness: float = 0.8
    """Largest share of 255 that is added or taken (Methods, Dataset preparation)"""
    contrast: float = 0.8
    """Largest share by which intensities are scaled up or down (Methods, Dataset preparation)"""
    affine_px: float = 30.0
    """Largest shift of each coordinate of three corners of a square (Methods, Dataset preparation:
    alpha affine of 30)"""
    elastic_alpha: float = 1.0
    """Scale of the displacement field (Ref: albumentations 0.4.6, the default)"""
    elastic_sigma_px: float = 50.0
    """Standard deviation of the filter over it (Ref: albumentations 0.4.6, the default)"""
    crop_px: int = 450
    """Rows and columns of the random crop that is resized to the whole (Methods, Dataset
    preparation)"""
    probability: float = 0.5
    """Of each operation by itself (Ref: albumentations 0.4.6, the default)"""

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "probability"):
            check.fraction(name, getattr(self, name))
        for name in ("affine_px", "elastic_alpha"):
            check.at_least(name, getattr(self, name), 0)
        check.positive("elastic_sigma_px", self.elastic_sigma_px)
        if not 0 < self.crop_px <= 512:
            raise ValueError(f"crop_px must lie in [1, 512]; got {self.crop_px}")


@dataclass(frozen=True)
class ModelConfig:
    """ResNet18 or ResNet34 with two classes, or U-Net32."""

    network: Literal["resnet", "unet"]
    """Classifier of a slice, or segmentation of one (Fig. 4)"""
    width: int
    """Channels of the first layer (Ref: He et al. 2016, Table 1: 64; Methods, Architectures: 16
    gives the 32 × 32 × 256 of U-Net32)"""
    blocks: tuple[int, ...] = ()
    """Residual blocks of the four stages of a ResNet (Fig. 4A, 4C; Ref: He et al. 2016, Table 1)"""
    convs: int = 2
    """Convolutions of a block of the U-Net (Not stated: 2 is usual; 3 would count 32 layers)"""
    middle: bool = True
    """Whether the U-Net has a block at its lowest resolution (Not stated: with it, width 16 gives
    the 256 channels of the paper; without, width 32 does)"""
    dropout: float = 0.4
    """Rate (Methods, Architectures)"""
    norm_eps: float = 1e-3
    """Added to the variance by batch norm (Ref: Keras, the default)"""
    norm_momentum: float = 0.99
    """Share of the old running statistics kept at a step (Ref: Keras, the default)"""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute type; parameters and logits stay float32 (Not stated: the safe one)"""

    def __post_init__(self) -> None:
        check.literals(self)
        check.positive("width", self.width)
        if self.network == "resnet" and (len(self.blocks) != 4 or min(self.blocks) < 1):
            raise ValueError(f"blocks must be four numbers above zero; got {self.blocks}")
        check.positive("convs", self.convs)
        check.fraction("dropout", self.dropout)
        check.positive("norm_eps", self.norm_eps)
        check.fraction("norm_momentum", self.norm_momentum)


@dataclass(frozen=True)
class LossConfig:
    """Cross-entropy, and a penalty on large weights."""

    l2: float = 1e-4
    """Factor of the sum of squares of all kernels (Not stated: "L2 regularization"; a usual
    value)"""

    def __post_init__(self) -> None:
        check.at_least("l2", self.l2, 0)


@dataclass(frozen=True)
class OptimConfig:
    """Adam, and a learning rate that falls in steps (Methods, Architectures)."""

    learning_rate: float
    """At the first epoch (Methods, Architectures)"""
    drop_epochs: int = 20
    """Epochs between two drops; 0 never drops (Methods, Architectures)"""
    drop_factor: float = 0.1
    """What the rate is multiplied with at a drop (Methods, Architectures)"""
    beta1: float = 0.9
    """Decay of the mean of gradients (Methods, Architectures)"""
    beta2: float = 0.999
    """Decay of the mean of their squares (Methods, Architectures)"""
    eps: float = 1e-7
    """Added to the root of the latter (Ref: Keras, the default)"""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "drop_factor", "eps"):
            check.positive(name, getattr(self, name))
        check.at_least("drop_epochs", self.drop_epochs, 0)
        for name in ("beta1", "beta2"):
            check.fraction(name, getattr(self, name))


@dataclass(frozen=True)
class StopConfig:
    """When to stop before the last epoch; the weights of the smallest validation loss are kept."""

    patience: int = 10
    """Epochs in which neither validation loss nor accuracy got better; 0 never stops (Not stated:
    "when neither accuracy nor loss improved further")"""

    def __post_init__(self) -> None:
        check.at_least("patience", self.patience, 0)


@dataclass(frozen=True)
class InferConfig:
    """From probabilities of slices to an answer about a patient."""

    threshold: float = 0.5
    """Probability from which a slice shows the pancreas, and a patient has a tumor (Not stated:
    the larger of two classes)"""
    rule: Literal["mean", "vote"] = "mean"
    """A patient's score: mean tumor probability of the slices, or the share of slices called tumor
    (Not stated: the mean, whose ROC is the smoother)"""
    batch: int = 2
    """Slices per device at a time (Not stated: bounds the memory, changes no result; two cores take
    0.20 to 0.25 s for a slice of 512² with U-Net32, and no less with 4 at a time)"""

    def __post_init__(self) -> None:
        check.fraction("threshold", self.threshold)
        check.literals(self)
        check.positive("batch", self.batch)


@dataclass(frozen=True)
class Config:
    """One network: how it is trained and how it is asked."""

    task: Literal["locate", "segment", "diagnose"]
    """What it is for (Fig. 3)"""
    run: RunConfig
    """Epochs, seed, logging and checkpoints (Methods, Architectures)"""
    data: DataConfig
    """Batches (Methods, Architectures)"""
    model: ModelConfig
    """Network (Fig. 4)"""
    optim: OptimConfig
    """Optimizer (Methods, Architectures)"""
    screen: ScreenConfig = field(default_factory=ScreenConfig)
    """Series that are used (Methods, Image screening)"""
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    """Slices (Methods, Image screening)"""
    split: SplitConfig = field(default_factory=SplitConfig)
    """Parts of the data set (Results, Sub-networks)"""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Augmentation (Methods, Dataset preparation)"""
    loss: LossConfig = field(default_factory=LossConfig)
    """Loss (Methods, Architectures)"""
    stop: StopConfig = field(default_factory=StopConfig)
    """Early end (Results, Sub-networks)"""
    infer: InferConfig = field(default_factory=InferConfig)
    """Answers (Not stated: see the fields)"""

    def __post_init__(self) -> None:
        check.literals(self)
        if (self.task == "segment") is not (self.model.network == "unet"):
            raise ValueError(f"task {self.task} cannot use the network {self.model.network}")
