"""Every number of the LNMet paper that this package uses, with its address.

Addresses name Zheng et al., "A deep local attention network for pre-operative lymph node metastasis
prediction in pancreatic cancer via multiphase CT imaging"; nnU-Net is its cited backbone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, get_args

from core import check
from core.augment.config import VolumeAugmentConfig
from core.datasets.channels import Phase
from core.train.config import RunConfig

Target = Literal["organs", "pdac", "nodes"]
Axes = tuple[int, int, int]


class Range(NamedTuple):
    """Signed distances to an organ, in mm, at which nodes are found; negative inside."""

    min_mm: float
    max_mm: float


TABLE_II: Mapping[str, Range] = {
    "spleen": Range(0, 16),
    "esophagus": Range(0, 25),
    "stomach": Range(-2, 18),
    "aorta": Range(0, 28),
    "pancreas": Range(-5, 20),
    "duodenum": Range(-5, 22),
    "SMA": Range(-1, 20),
    "TC&SA": Range(-2, 18),
    "LGA": Range(0, 21),
    "CHA&PHA": Range(0, 20),
}
"""Of the organs and vessels in the order of their ids, from 1 (Table II)."""

ORGANS = tuple(TABLE_II)

_HALVED = ((1, 1, 1), *((2, 2, 2),) * 4, (1, 2, 2))


@dataclass(frozen=True)
class SplitConfig:
    """Nested cross-validation by patient: 64 % to learn from, 16 % to choose by, 20 % held out."""

    num_folds: int = 5
    """Folds, each held out once (Sec. IV-A)"""
    val_fraction: float = 0.2
    """Share of the other folds that is not learned from either (Sec. IV-A: 16 % of 80 %)"""
    seed: int = 0
    """Of the shuffles (Not stated: any)"""

    def __post_init__(self) -> None:
        check.at_least("num_folds", self.num_folds, 2)
        check.fraction("val_fraction", self.val_fraction)


@dataclass(frozen=True)
class PrepareConfig:
    """From two phases and their labels to the grid that networks see."""

    spacing_mm: tuple[float, float, float] = (0.80, 0.68, 0.68)
    """Of the voxels, (D, H, W) (Sec. IV-A: the median, 0.68 × 0.68 × 0.80 mm)"""
    margin_mm: float = 40.0
    """Around the organs and vessels; what lies further out is cut off (Not stated: farther than any
    range of Table II with its ramp, and about the size that gives the paper's patch)"""
    ranges_mm: tuple[tuple[float, float], ...] = tuple(
        (r.min_mm, r.max_mm) for r in TABLE_II.values()
    )
    """Signed distance to each organ in which nodes are found, least and most; `lnmet ranges` fits
    them to other data (Table II)"""

    def __post_init__(self) -> None:
        for spacing in self.spacing_mm:
            check.positive("a spacing", spacing)
        check.at_least("margin_mm", self.margin_mm, 0)
        if len(self.ranges_mm) != len(TABLE_II):
            raise ValueError(f"ranges_mm needs {len(TABLE_II)} pairs; got {len(self.ranges_mm)}")
        if any(low > high for low, high in self.ranges_mm):
            raise ValueError(f"ranges_mm are least and most; got {self.ranges_mm}")


@dataclass(frozen=True)
class DataConfig:
    """From prepared cases to the patches of a step."""

    target: Target = "nodes"
    """What is segmented (Sec. III-A, IV-B)"""
    phases: tuple[Phase, ...] = ("arterial", "venous")
    """Channels of the image: two phases; for the tumor one, arterial first and venous in the end
    (Sec. IV-A, IV-B)"""
    patch: Axes = (80, 192, 160)
    """Voxels (D, H, W) (Sec. IV-A: 160 × 192 × 80)"""
    batch: int = 2
    """Patches per step, over all devices (Ref: nnU-Net, for this patch)"""
    foreground: float = 0.33
    """Share of the patches that are centered on a voxel of the target, one in two of a batch of two
    (Sec. III-A: more than a third of a batch)"""
    informative: bool = True
    """Draw other patches only where attention is above zero (Sec. III-A, informative negatives)"""

    def __post_init__(self) -> None:
        check.literals(self)
        check.positive("batch", self.batch)
        check.fraction("foreground", self.foreground)
        if not self.phases or any(phase not in get_args(Phase) for phase in self.phases):
            raise ValueError(f"phases must be some of {get_args(Phase)}; got {self.phases}")
        for size in self.patch:
            check.positive("a side of the patch", size)


@dataclass(frozen=True)
class ModelConfig:
    """nnU-Net's U-Net, whose heads may see through the attention map."""

    features: tuple[int, ...] = (32, 64, 128, 256, 320, 320)
    """Channels of each stage (Ref: nnU-Net)"""
    strides: tuple[Axes, ...] = _HALVED
    """Of each stage, (D, H, W) (Ref: nnU-Net 1.7, planned for this patch)"""
    attention: bool = True
    """Multiply what the heads see by the attention map; without, the baseline nnU-Net of Table V
    (Sec. III-A)"""
    head: Literal["unit", "block", "conv"] = "unit"
    """What precedes the last 1³ convolution: a 1³ unit, a 3³ one, or nothing, as in nnU-Net
    (Sec. III-A: "a convolution block"; its kernel as in the authors' published example)"""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute type; parameters and logits stay float32 (Not stated: the safe one)"""

    def __post_init__(self) -> None:
        check.literals(self)
        if len(self.features) != len(self.strides):
            raise ValueError("features and strides must have one entry for each stage")


@dataclass(frozen=True)
class LossConfig:
    """Cross-entropy and overlap with equal weights, at every resolution of the decoder."""

    false_positives: float = 0.5
    """α of the Tversky loss; 1 with β = 1 is the Dice loss (Eq. 3)"""
    false_negatives: float = 1.5
    """β of the Tversky loss (Eq. 3)"""
    smooth: float = 1e-5
    """Added to both sides of the overlap (Ref: nnU-Net)"""

    def __post_init__(self) -> None:
        for name in ("false_positives", "false_negatives", "smooth"):
            check.positive(name, getattr(self, name))


@dataclass(frozen=True)
class OptimConfig:
    """Stochastic gradient descent with Nesterov's momentum and polynomial decay."""

    algorithm: Literal["sgd", "adam"] = "sgd"
    """Adam for `tiny-*`, whose few steps must be long ones (Ref: nnU-Net)"""
    learning_rate: float = 0.01
    """At the first step (Ref: nnU-Net)"""
    power: float = 0.9
    """Of the polynomial decay (Ref: nnU-Net)"""
    momentum: float = 0.99
    """Nesterov's, of SGD (Ref: nnU-Net)"""
    weight_decay: float = 3e-5
    """Added to the gradient of every parameter by SGD (Ref: nnU-Net)"""
    clip_norm: float = 12.0
    """Norm of the gradient that is never exceeded (Ref: nnU-Net)"""
    steps_per_epoch: int = 250
    """The learning rate is constant within an epoch (Ref: nnU-Net)"""

    def __post_init__(self) -> None:
        check.literals(self)
        for name in ("learning_rate", "clip_norm", "steps_per_epoch"):
            check.positive(name, getattr(self, name))
        check.fraction("momentum", self.momentum)


@dataclass(frozen=True)
class FineTuningConfig:
    """Stochastic gradient descent of the networks that start from others' parameters."""

    algorithm: Literal["sgd", "adam"] = "sgd"
    """Adam for `tiny-*`, whose few steps must be long ones (Sec. IV-A)"""
    learning_rate: float = 5e-4
    """At the first step (Sec. IV-A)"""
    power: float = 0.9
    """Of the polynomial decay, step by step (Not stated: nnU-Net's)"""
    momentum: float = 0.95
    """Nesterov's, of SGD (Sec. IV-A)"""
    weight_decay: float = 1e-4
    """Added to the gradient of every parameter by SGD (Sec. IV-A)"""
    clip_norm: float = 12.0
    """Norm of the gradient that is never exceeded (Not stated: nnU-Net's and the authors'
    published example's)"""

    def __post_init__(self) -> None:
        check.literals(self)
        for name in ("learning_rate", "clip_norm"):
            check.positive(name, getattr(self, name))
        check.fraction("momentum", self.momentum)


@dataclass(frozen=True)
class InferConfig:
    """Sliding windows over a case, and what of the answer is kept."""

    overlap: float = 0.5
    """Share of a window that the next one covers again (Ref: nnU-Net)"""
    mirrored: bool = True
    """Average over the eight mirrorings of a window (Ref: nnU-Net)"""
    batch: int = 1
    """Windows per device at a time (Not stated: bounds the memory, changes no result)"""
    threshold: float = 0.5
    """Probability from which a voxel is a node (Sec. III-A: softmax of two classes)"""
    min_node_mm3: float = 3.7
    """Smaller components are no nodes (Not stated: 10 voxels of the paper's grid are below any)"""

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap must lie in [0, 1); got {self.overlap}")
        check.positive("batch", self.batch)
        check.fraction("threshold", self.threshold)
        check.at_least("min_node_mm3", self.min_node_mm3, 0)


@dataclass(frozen=True)
class Config:
    """One network: how it is trained and how it is asked."""

    run: RunConfig = field(default_factory=lambda: RunConfig(steps=250_000))
    """Steps, seed, logging and checkpoints (Ref: nnU-Net, 1000 epochs of 250 steps)"""
    split: SplitConfig = field(default_factory=SplitConfig)
    """Cross-validation (Sec. IV-A)"""
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    """Grid and attention map (Sec. IV-A)"""
    data: DataConfig = field(default_factory=DataConfig)
    """Patches (Sec. III-A, IV-A)"""
    augment: VolumeAugmentConfig = field(default_factory=VolumeAugmentConfig)
    """Augmentation, in which the attention map moves with the image (Ref: nnU-Net)"""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Network (Sec. III-A)"""
    loss: LossConfig = field(default_factory=LossConfig)
    """Loss (Eq. 3 and 4)"""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimizer (Ref: nnU-Net)"""
    infer: InferConfig = field(default_factory=InferConfig)
    """Sliding windows (Ref: nnU-Net)"""

    def __post_init__(self) -> None:
        sees_nodes = self.data.target == "nodes"
        if (self.model.attention or self.data.informative) and not sees_nodes:
            raise ValueError(
                "attention is where lymph nodes can lie: model.attention and data.informative need "
                f"data.target=nodes; got {self.data.target}"
            )
        for side, *strides in zip(self.data.patch, *self.model.strides, strict=True):
            factor = 1
            for stride in strides:
                factor *= stride
            check.divisible("data.patch", (side,), factor, "strides of the network")


_NODES = Config()
_PLAIN = ModelConfig(attention=False, head="conv")
_DICE = LossConfig(false_positives=1.0, false_negatives=1.0)
_ORGANS = replace(
    _NODES, data=DataConfig(target="organs", informative=False), model=_PLAIN, loss=_DICE
)
_PDAC = replace(_ORGANS, data=DataConfig(target="pdac", phases=("venous",), informative=False))
_PDAC_ARTERIAL = replace(_PDAC, data=replace(_PDAC.data, phases=("arterial",)))


_NODES_NO_ATTENTION = replace(_NODES, data=DataConfig(informative=False), model=_PLAIN, loss=_DICE)


def _tiny(paper: Config, *, steps: int, spacing_mm: float, patch: Axes, batch: int) -> Config:
    """A paper recipe cut down to minutes on two cores, for scans of about 2 mm voxels."""
    return replace(
        paper,
        run=RunConfig(steps=steps, log_every=20, checkpoint_every=100),
        prepare=PrepareConfig(spacing_mm=(spacing_mm, spacing_mm, spacing_mm)),
        data=replace(paper.data, patch=patch, batch=batch, foreground=0.75),
        # A few hundred steps are too few to know the anatomy mirrored and turned.
        augment=VolumeAugmentConfig(scheme="none"),
        model=replace(
            paper.model,
            features=(8, 16, 32, 48),
            strides=((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
        ),
        optim=OptimConfig("adam", learning_rate=4e-3, steps_per_epoch=1),
        infer=InferConfig(overlap=0.25, mirrored=False, batch=2, min_node_mm3=16.0),
    )


# Few voxels besides a node, so that some of each patch is one.
_TINY_NODES = {"steps": 800, "spacing_mm": 2.0, "patch": (24, 32, 32), "batch": 4}
# Coarser, so that a patch holds most organs; vessels of 3 mm are still there.
_TINY_ORGANS = {"steps": 700, "spacing_mm": 3.0, "patch": (32, 48, 56), "batch": 1}
_TINY_TUMOR = {"steps": 500, "spacing_mm": 4.0, "patch": (24, 40, 48), "batch": 1}

RECIPES = {
    "organs": _ORGANS,
    "pdac": _PDAC,
    "pdac-arterial": _PDAC_ARTERIAL,
    "nodes": _NODES,
    "nodes-no-attention": _NODES_NO_ATTENTION,
    "tiny-organs": _tiny(_ORGANS, **_TINY_ORGANS),
    "tiny-pdac": _tiny(_PDAC, **_TINY_TUMOR),
    "tiny-pdac-arterial": _tiny(_PDAC_ARTERIAL, **_TINY_TUMOR),
    "tiny-nodes": _tiny(_NODES, **_TINY_NODES),
    "tiny-nodes-no-attention": _tiny(_NODES_NO_ATTENTION, **_TINY_NODES),
}
"""By what they segment; `pdac-arterial` makes the masks that `pdac` learns from,
`nodes-no-attention` is the nnU-Net of Table V, `tiny-*` are for two cores."""
