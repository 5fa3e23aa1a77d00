"""Numbers of the network that tells metastatic nodes from others, with their addresses."""

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from core import check
from core.augment.config import VolumeAugmentConfig
from core.datasets.channels import Phase
from core.train.config import RunConfig
from lnmet import config as segmentation
from lnmet.config import Axes, FineTuningConfig, PrepareConfig, SplitConfig

_AUGMENT = VolumeAugmentConfig(
    noise_probability=0.0,
    blur_probability=0.0,
    low_resolution_probability=0.0,
    inverted_gamma_probability=0.0,
)
"""Rotation, scale, brightness, contrast, gamma and mirroring."""


@dataclass(frozen=True)
class DataConfig:
    """From prepared cases to crops around single nodes."""

    target: Literal["identification"] = "identification"
    """What is told (Sec. III-A, stage 2)"""
    phases: tuple[Phase, ...] = ("arterial", "venous")
    """Channels of the image, those of the segmentation network (Sec. III-A)"""
    patch: Axes = (80, 96, 96)
    """Voxels (D, H, W) around a node (Sec. IV-A: 96 × 96 × 80)"""
    batch: int = 8
    """Nodes per step, over all devices (Not stated: fills a 16 GB device)"""
    positive: float = 0.5
    """Share of a batch that is metastatic (Not stated: the paper has 476 of 2,467)"""

    def __post_init__(self) -> None:
        check.one_of("target", self.target, ("identification",))
        check.positive("batch", self.batch)
        check.fraction("positive", self.positive)
        if not self.phases or any(phase not in get_args(Phase) for phase in self.phases):
            raise ValueError(f"phases must be some of {get_args(Phase)}; got {self.phases}")
        for size in self.patch:
            check.positive("a side of the patch", size)


@dataclass(frozen=True)
class ModelConfig:
    """The U-Net of the segmentation, and a new head over it."""

    features: tuple[int, ...] = segmentation.ModelConfig.features
    """Channels of each stage (Sec. III-A: the backbone of stage 1)"""
    strides: tuple[Axes, ...] = segmentation.ModelConfig.strides
    """Of each stage, (D, H, W) (Sec. III-A: the backbone of stage 1)"""
    head: Literal["instance", "bottleneck"] = "instance"
    """What the last linear layer sees: mean of the bottleneck beside the mean of the decoder's
    highest features over the node, or the former alone (Not stated: a crop holds several nodes)"""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute type; parameters and logits stay float32 (Not stated: the safe one)"""

    def __post_init__(self) -> None:
        check.one_of("head", self.head, ("instance", "bottleneck"))
        check.one_of("dtype", self.dtype, ("float32", "bfloat16"))
        if len(self.features) != len(self.strides):
            raise ValueError("features and strides must have one entry for each stage")


@dataclass(frozen=True)
class InferConfig:
    """From probabilities to a class of every node."""

    threshold: float = 0.5
    """Probability from which a node is metastatic (Not stated: the more probable class)"""
    batch: int = 4
    """Nodes per device at a time (Not stated: bounds the memory, changes no result)"""

    def __post_init__(self) -> None:
        check.fraction("threshold", self.threshold)
        check.positive("batch", self.batch)


@dataclass(frozen=True)
class IdentificationConfig:
    """The network of stage 2: how it is trained and how it is asked."""

    run: RunConfig = field(default_factory=lambda: RunConfig(epochs=60, evaluate_every=250))
    """Passes over the annotated nodes, seed, logging, checkpoints, and evaluations, the best of
    which chooses the weights (Not stated: 60 passes are 18,500 steps of the paper's 2,467 nodes)"""
    split: SplitConfig = field(default_factory=SplitConfig)
    """Cross-validation (Sec. IV-A)"""
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    """Grid (Sec. IV-A)"""
    data: DataConfig = field(default_factory=DataConfig)
    """Crops (Sec. IV-A)"""
    augment: VolumeAugmentConfig = _AUGMENT
    """Augmentation, in which the node's mask moves with the image (Not stated: what nnU-Net does to
    geometry and intensities, without what hides the texture)"""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Network (Sec. III-A, stage 2)"""
    optim: FineTuningConfig = field(default_factory=FineTuningConfig)
    """Optimizer (Sec. IV-A)"""
    infer: InferConfig = field(default_factory=InferConfig)
    """Decision (Sec. III-A, stage 2)"""

    def __post_init__(self) -> None:
        for side, *strides in zip(self.data.patch, *self.model.strides, strict=True):
            factor = 1
            for stride in strides:
                factor *= stride
            check.divisible("data.patch", (side,), factor, "strides of the network")


_TINY_NODES = segmentation.RECIPES["tiny-nodes"]

_MIRRORED = replace(
    _AUGMENT,
    rotation_probability=0.0,
    degrees=0.0,
    scaling_probability=0.0,
    loading_scales=(1.0, 1.0),
    brightness_probability=0.0,
    contrast_probability=0.0,
    gamma_probability=0.0,
)

RECIPES = {
    "identification": IdentificationConfig(),
    "tiny-identification": IdentificationConfig(
        run=RunConfig(steps=100, log_every=20, checkpoint_every=100),
        prepare=_TINY_NODES.prepare,
        # 32 mm: a phantom's node is at most 15 mm wide, and what lies further out is learned by
        # heart. So is what is not mirrored.
        data=DataConfig(patch=(16, 16, 16), batch=16),
        augment=_MIRRORED,
        model=ModelConfig(features=_TINY_NODES.model.features, strides=_TINY_NODES.model.strides),
        optim=FineTuningConfig("adam", learning_rate=1e-3),
    ),
}
"""`tiny-*` is for phantoms of 2 mm on two cores."""
