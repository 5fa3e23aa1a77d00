"""Every number of the S4C papers that this package uses, with its address.

Addresses name the PDAC paper (Zhu et al., MICCAI 2019) unless they say PNET.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from core import check
from core.train.config import RunConfig

Flip = Literal["auto", "none", "d", "h", "w", "dh", "dw", "hw", "dhw"]


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
        check.at_least("num_classes", self.num_classes, 2)
        check.positive("width", self.width)
        check.literals(self)


@dataclass(frozen=True)
class SplitConfig:
    """Abnormal patients in folds; normal patients in one hard split, the same in every fold."""

    num_folds: int = 4
    """Folds of the abnormal patients (Sec. 3.1)"""
    normal_train: float = 103 / 303
    """Share of the normal patients that every fold trains on (Sec. 3.1: 103 of 303)"""
    seed: int = 0
    """Of the shuffles (Not stated: any)"""

    def __post_init__(self) -> None:
        check.at_least("num_folds", self.num_folds, 2)
        check.fraction("normal_train", self.normal_train)


@dataclass(frozen=True)
class PrepareConfig:
    """From a file to a scan that networks can read; training and screening do the same."""

    window_hu: tuple[float, float] = (-100.0, 240.0)
    """Hounsfield units kept; the rest is clipped, then each scan is brought to zero mean and unit
    variance (Ref: OrganSegRSTN, the laboratory's own code)"""
    label_flip: Flip = "auto"
    """Axes of the labels of NIH Pancreas-CT, as stored, that run against the images (Not stated:
    told by the HU inside)"""

    def __post_init__(self) -> None:
        if not self.window_hu[0] < self.window_hu[1]:
            raise ValueError(f"window_hu must be (low, high); got {self.window_hu}")
        check.literals(self)


@dataclass(frozen=True)
class DataConfig:
    """From prepared scans to the patches of one step."""

    patch: int = 64
    """Side of the cubic patch in voxels (Sec. 2.2)"""
    batch: int = 16
    """Patches per step, over all devices: 16 at 64³, 32 at 32³, 128 at 16³ (Sec. 2.2)"""
    sampling: Literal["scan", "roi"] = "scan"
    """From the whole scan, or three patch types in equal numbers inside the ROI (Sec. 2.2)"""
    foreground: float = 0.5
    """Share of `scan` patches centred on a pancreas voxel (Not stated: the pancreas fills about
    1 % of a scan, so uniform starts waste most steps; 0 samples uniformly)"""
    symmetries: Literal["cube", "none"] = "cube"
    """Patches are turned by one of the cube's 48 symmetries: flips, and rotations by 90°, 180° and
    270° over three axes (Sec. 2.2)"""
    roi_margin: int = 32
    """Voxels around the smallest box of the pancreas (Sec. 2.2)"""
    type_fraction: float = 0.05
    """Share of tumor, or of pancreas, voxels that gives a patch its type (Not stated: large enough
    to learn from, small enough that 32³ patches reach it)"""

    def __post_init__(self) -> None:
        check.divisible("patch", (self.patch,), 8, "three poolings")
        check.positive("batch", self.batch)
        check.literals(self)
        check.fraction("foreground", self.foreground)
        check.fraction("type_fraction", self.type_fraction)


@dataclass(frozen=True)
class LossConfig:
    """Cross-entropy of the main output plus weighted auxiliary ones."""

    aux_weights: tuple[float, ...] = (0.2, 0.4)
    """Weights of auxiliary losses #1, #2 relative to the main loss, 1 : 2 : 5; at 32³ and 16³ one,
    1 : 3 (Fig. 2; normalised to main weight 1, as in the base network, arXiv 1712.00201)"""
    class_weights: tuple[float, ...] = (1.0, 1.0, 1.0)
    """Weight of a voxel by its class: background, pancreas, tumor (Sec. 2.2: none)"""

    def __post_init__(self) -> None:
        for weight in (*self.aux_weights, *self.class_weights):
            check.positive("a loss weight", weight)


@dataclass(frozen=True)
class OptimConfig:
    """Stochastic gradient descent with polynomial decay over the whole run."""

    learning_rate: float = 0.01
    """At the first step (Sec. 2.2)"""
    power: float = 0.9
    """Of the polynomial decay to zero at the last step (Sec. 2.2)"""
    momentum: float = 0.9
    """Without Nesterov (Sec. 2.2)"""
    weight_decay: float = 5e-4
    """Added to the gradient of every parameter (Sec. 2.2)"""

    def __post_init__(self) -> None:
        check.positive("learning_rate", self.learning_rate)
        check.fraction("momentum", self.momentum)


@dataclass(frozen=True)
class InferConfig:
    """Sliding windows over a scan (64³) or over the region found by the coarse pass (32³, 16³)."""

    stride: int = 20
    """Voxels between windows on every axis: 20 at 64³, 10 at 32³, 5 at 16³ (Sec. 2.3)"""
    batch: int = 8
    """Windows per device at a time (Not stated: bounds the memory, changes no result)"""
    roi_margin: int = 32
    """Voxels around the smallest box of the coarse pancreas and tumor (Sec. 2.3)"""

    def __post_init__(self) -> None:
        check.positive("stride", self.stride)
        check.positive("batch", self.batch)


@dataclass(frozen=True)
class DecisionConfig:
    """From a segmentation to "PDAC" or "normal"."""

    filter_before_roi: bool = False
    """Remove small components of the coarse pancreas set before the region of interest is drawn
    around it: one false voxel far away makes the fine networks search half the scan (Not stated:
    the paper filters the final mask only)"""
    component_fraction: float = 0.2
    """Components not larger than this share of the largest become background (Sec. 2.3)"""
    min_tumor_voxels: int = 50
    """K: a scan with at least so many tumor voxels is PDAC (Sec. 2.3)"""
    saturation_voxels: int = 1500
    """Tumor size from which the score's size term is 1 (Not stated: the paper sees no change of
    results between K = 50 and K = 1500)"""
    size_weight: float = 0.5
    """Weight of the size term; the mean tumor probability has the rest (Not stated: equal parts)"""

    def __post_init__(self) -> None:
        check.fraction("component_fraction", self.component_fraction)
        check.positive("min_tumor_voxels", self.min_tumor_voxels)
        check.positive("saturation_voxels", self.saturation_voxels)
        check.fraction("size_weight", self.size_weight)


@dataclass(frozen=True)
class Config:
    """One network of the cascade: how it is trained and how it scans."""

    run: RunConfig = field(default_factory=lambda: RunConfig(steps=80_000))
    """Steps, seed, logging and checkpoints (Sec. 2.2: 80,000 iterations)"""
    split: SplitConfig = field(default_factory=SplitConfig)
    """Cross-validation (Sec. 3.1)"""
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    """Intensities (Not stated: see the field)"""
    data: DataConfig = field(default_factory=DataConfig)
    """Patches (Sec. 2.2)"""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Network (Fig. 2)"""
    loss: LossConfig = field(default_factory=LossConfig)
    """Loss (Fig. 2)"""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimiser (Sec. 2.2)"""
    infer: InferConfig = field(default_factory=InferConfig)
    """Sliding windows (Sec. 2.3)"""
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    """Screening decision; a cascade uses its coarse network's (Sec. 2.3)"""

    def __post_init__(self) -> None:
        if self.infer.stride > self.data.patch:
            raise ValueError(
                f"infer.stride={self.infer.stride} leaves voxels out between windows of "
                f"data.patch={self.data.patch}"
            )
        if len(self.loss.aux_weights) != self.model.num_aux:
            raise ValueError(
                f"loss.aux_weights={self.loss.aux_weights} needs one weight for each of "
                f"model.num_aux={self.model.num_aux} auxiliary outputs"
            )
        if len(self.loss.class_weights) != self.model.num_classes:
            raise ValueError(
                f"loss.class_weights={self.loss.class_weights} needs one weight for each of "
                f"model.num_classes={self.model.num_classes}"
            )


_PDAC_64 = Config()
_PDAC_32 = Config(
    data=DataConfig(patch=32, batch=32, sampling="roi"),
    model=ModelConfig(num_aux=1),
    loss=LossConfig(aux_weights=(1 / 3,)),
    infer=InferConfig(stride=10, batch=64),
)
_PDAC_16 = replace(
    _PDAC_32,
    data=DataConfig(patch=16, batch=128, sampling="roi"),
    infer=InferConfig(stride=5, batch=512),
)


def _tiny(
    paper: Config,
    *,
    steps: int,
    batch: int,
    windows: int,
    stride: int,
    class_weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Config:
    """A paper recipe cut down to minutes on two cores, for scans of about 2 mm voxels."""
    return replace(
        paper,
        run=RunConfig(steps=steps, log_every=25, checkpoint_every=100),
        # A few hundred steps are too few to know the anatomy in 48 orientations. Foreground: a
        # patch of 64³ fills half of such a scan, and most of them should hold pancreas.
        data=replace(paper.data, batch=batch, foreground=0.75, symmetries="none"),
        model=replace(paper.model, width=8),
        loss=replace(paper.loss, class_weights=class_weights),
        # Few steps need long ones; batch norm keeps them stable.
        optim=replace(paper.optim, learning_rate=0.3),
        # 8 voxels of 2 mm are 16 mm; 32 would take in half the phantom.
        infer=InferConfig(stride=stride, batch=windows, roi_margin=8),
        # Of 2 mm voxels, 240 are 1.9 ml, a tumor of 15 mm, and 500 are 4 ml. K keeps sensitivity
        # and specificity level (14 and 13 of 16) on the phantoms of two seeds that no network has
        # learned from and that the demo does not show.
        decision=replace(paper.decision, min_tumor_voxels=240, saturation_voxels=500),
    )


RECIPES = {
    "pdac-64": _PDAC_64,
    "pdac-32": _PDAC_32,
    "pdac-16": _PDAC_16,
    # Without weights it takes up to 250 steps to say anything but background: 3 % of the voxels of
    # its patches are pancreas.
    "tiny-64": _tiny(
        _PDAC_64, steps=180, batch=1, windows=2, stride=40, class_weights=(1.0, 3.0, 3.0)
    ),
    # Tumor weighs more, so that the first tumors show long before the last step.
    "tiny-32": _tiny(
        _PDAC_32, steps=320, batch=4, windows=16, stride=24, class_weights=(1.0, 1.0, 3.0)
    ),
    "tiny-16": _tiny(
        _PDAC_16, steps=360, batch=24, windows=128, stride=12, class_weights=(1.0, 1.0, 1.5)
    ),
}
"""Named as in the paper, one per network (Sec. 2.2); `tiny-*` for two CPU cores."""
