"""Numbers of the classification network, with their addresses.

It is of the PNET paper (Zhu et al. 2020), Sec. 2.3; Fig. 2, which shows its layers, was lost.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from core import check
from core.train.config import RunConfig
from s4c.config import OptimConfig

CLASSIFICATION = "classification"
"""The system whose answers are a classifier's, as PNET Table 2 calls it."""
SECTION = "classify"
"""Of the operating choices: "classify.threshold" is this network's infer.threshold."""


@dataclass(frozen=True)
class DataConfig:
    """From the coarse network's features to the batches of a step."""

    batch: int = 1
    """Scans per step, over all devices; their regions differ in size (PNET Sec. 2.3)"""

    def __post_init__(self) -> None:
        check.positive("batch", self.batch)


@dataclass(frozen=True)
class ModelConfig:
    """Two convolutions, each with a group norm, the mean over the region, a linear layer."""

    width: int = 128
    """Channels of both convolutions (Not stated: as many as Pool3 has; two convolutions on features
    that are there fit the 12 minutes of training)"""
    groups: int = 32
    """Of channels, whose statistics are one (Ref: Wu and He 2018, Sec. 4.1)"""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute type; parameters and logits stay float32 (Not stated: the safe one)"""

    def __post_init__(self) -> None:
        check.positive("groups", self.groups)
        check.positive("width", self.width)
        check.divisible("width", (self.width,), self.groups, "groups of channels")
        check.literals(self)


@dataclass(frozen=True)
class InferConfig:
    """From the coarse segmentation of a new scan to its class."""

    roi_margin: int = 8
    """Voxels around the smallest box of the predicted pancreas (Not stated: "with a margin", here
    one voxel of Pool3)"""
    threshold: float = 0.5
    """Probability from which a scan is abnormal (Not stated: the more probable class)"""

    def __post_init__(self) -> None:
        check.at_least("roi_margin", self.roi_margin, 0)
        check.fraction("threshold", self.threshold)


@dataclass(frozen=True)
class ClassifierConfig:
    """The network: how it is trained and asked; cases, folds and HU window are its coarse run's."""

    run: RunConfig = field(default_factory=lambda: RunConfig(steps=20_000))
    """Steps, seed, logging and checkpoints (PNET Sec. 3.1: 20,000 iterations)"""
    data: DataConfig = field(default_factory=DataConfig)
    """Batches (PNET Sec. 2.3)"""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Network (PNET Sec. 2.3)"""
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(learning_rate=0.001))
    """Optimiser, from a learning rate of 0.001 (PNET Sec. 3.1)"""
    infer: InferConfig = field(default_factory=InferConfig)
    """Region and decision (PNET Sec. 2.3)"""


_PAPER = ClassifierConfig()

RECIPES = {
    "classifier": _PAPER,
    # The coarse network of `tiny-64` has 32 channels after its third pooling. Its steps take
    # milliseconds: few enough for minutes, enough to know the 24 phantoms of the demo by heart.
    "tiny-classifier": replace(
        _PAPER,
        run=RunConfig(steps=2000, log_every=200, checkpoint_every=500),
        model=ModelConfig(width=32, groups=8),
        optim=replace(_PAPER.optim, learning_rate=0.01),
    ),
}
"""On a coarse run of either paper; `tiny-*` for two CPU cores."""
