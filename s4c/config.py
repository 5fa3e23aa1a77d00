"""Every number of the S4C papers that this package uses, with its address.

Addresses name the PDAC paper (Zhu et al., MICCAI 2019) unless they say PNET (Zhu et al. 2020).
"""

from dataclasses import dataclass, field
from typing import Literal

from core import check
from core.datasets.channels import Phase
from core.train.config import RunConfig

Flip = Literal["auto", "none", "d", "h", "w", "dh", "dw", "hw", "dhw"]


@dataclass(frozen=True)
class ModelConfig:
    """The segmentation network: ResDSN has four resolution steps, sum skips, auxiliary outputs."""

    network: Literal["resdsn", "unet3d", "vnet"] = "resdsn"
    """3D U-Net and V-Net are what it is compared with (PNET Table 1)"""
    num_classes: int = 3
    """Background, pancreas, tumor; PNET adds the dilated duct (Sec. 2.1)"""
    width: int = 32
    """Channels of the first step, doubled at each pooling: 32, 64, 128, 256; of V-Net 16 (PNET Sec.
    2.3; Ref: Milletari et al. 2016)"""
    num_aux: Literal[0, 1, 2] = 2
    """Auxiliary outputs of ResDSN in training: two at 64³, one at 32³ and 16³ (Sec. 2.2)"""
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
        if self.num_aux and self.network != "resdsn":
            raise ValueError(f"{self.network} has no auxiliary outputs; set num_aux to 0")

    @property
    def downsampling(self) -> int:
        """Voxels of a patch, per axis, for one of the deepest map: they must divide a patch."""
        return 16 if self.network == "vnet" else 8


@dataclass(frozen=True)
class SplitConfig:
    """Abnormal patients in folds; normal ones in folds, too, or in one hard split for all folds."""

    num_folds: int = 4
    """Folds of the abnormal patients (Sec. 3.1)"""
    normal: Literal["hard", "folds"] = "hard"
    """Normal patients are divided once for all folds, or in folds as the others are (Sec. 3.1; PNET
    Sec. 3.1)"""
    normal_train: float = 103 / 303
    """Share of the normal patients that every fold trains on (Sec. 3.1: 103 of 303)"""
    seed: int = 0
    """Of the shuffles (Not stated: any)"""

    def __post_init__(self) -> None:
        check.at_least("num_folds", self.num_folds, 2)
        check.fraction("normal_train", self.normal_train)
        check.literals(self)


@dataclass(frozen=True)
class PrepareConfig:
    """From a file to a scan that networks can read; training and screening do the same."""

    window_hu: tuple[float, float] = (-100.0, 240.0)
    """Hounsfield units kept; the rest is clipped, then each scan is brought to zero mean and unit
    variance (Ref: OrganSegRSTN, the laboratory's own code)"""
    spacing_mm: tuple[float, float, float] | None = None
    """Voxels (z, y, x) to which scans are resampled for all networks; None keeps each scan's own,
    whatever its size (Not stated: the scans of the paper come from one site, and it does not speak
    of resampling)"""
    label_flip: Flip = "auto"
    """Axes of the labels of NIH Pancreas-CT, as stored, that run against the images (Not stated:
    told by the HU inside)"""
    phase: Phase | None = None
    """Channel of a data set that is read, by its contrast phase; without, its only CT (PNET Sec.
    3.1: a network for each phase)"""
    duct: bool = False
    """Whether the dilated pancreatic duct is a class of its own, or pancreas (PNET Sec. 2.1)"""

    def __post_init__(self) -> None:
        if not self.window_hu[0] < self.window_hu[1]:
            raise ValueError(f"window_hu must be (low, high); got {self.window_hu}")
        for mm in self.spacing_mm or ():
            check.positive("a spacing", mm)
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
    symmetries: Literal["cube", "axial", "none"] = "cube"
    """Patches are turned by one of the cube's 48 symmetries: flips, and rotations by 90°, 180° and
    270° over three axes; "axial" takes the 16 that keep the slice axis, for slices much thicker
    than pixels (Sec. 2.2)"""
    roi_margin: int = 32
    """Voxels of the networks' grid around the smallest box of the pancreas (Sec. 2.2)"""
    type_fraction: float = 0.05
    """Share of tumor, or of pancreas, voxels that gives a patch its type (Not stated: large enough
    to learn from, small enough that 32³ patches reach it)"""

    def __post_init__(self) -> None:
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
    """Weight of a voxel by its class: background, pancreas, tumor, dilated duct (Sec. 2.2: none)"""

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
    combine: Literal["average", "vote"] = "average"
    """How the windows over a voxel become one answer: their mean softmax, or the label that most of
    them give it (Sec. 2.3; PNET Sec. 2.2: by majority)"""
    early: bool = True
    """Leave out windows whose voxels are all decided by the votes of others (Not stated: no label
    changes, and fewer windows run)"""
    skip_air: bool = False
    """Of votes, take windows that show no body for background without asking the network (Not
    stated: labels may change where a network sees a pancreas in air)"""
    batch: int = 8
    """Windows per device at a time (Not stated: bounds the memory, changes no result)"""
    roi_margin: int = 32
    """Voxels, of decision.voxel_mm if that is given, around the smallest box of the coarse pancreas
    and tumor (Sec. 2.3)"""

    def __post_init__(self) -> None:
        check.positive("stride", self.stride)
        check.positive("batch", self.batch)
        check.literals(self)


@dataclass(frozen=True)
class DecisionConfig:
    """From a segmentation to "PDAC", or "PNET", or "normal"."""

    positive: Literal["PDAC", "PNET"] = "PDAC"
    """What a scan with a tumor is called (Sec. 1; PNET Sec. 1)"""
    filter_before_roi: bool = False
    """Remove small components of the coarse pancreas set before the region of interest is drawn
    around it: one false voxel far away makes the fine networks search half the scan (Not stated:
    the paper filters the final mask only)"""
    component_fraction: float = 0.2
    """Components not larger than this share of the largest become background (Sec. 2.3)"""
    near_voxels: float = 0.0
    """Components nearer than this to the largest stay whatever their size; 0 keeps none for that
    (PNET Sec. 2.2: 27)"""
    min_tumor_voxels: int = 50
    """K: a scan with at least so many tumor voxels has a tumor (Sec. 2.3; PNET Sec. 2.2: 40)"""
    min_duct_voxels: int = 0
    """A scan with at least so many voxels of dilated duct has a tumor, too; 0, where there is no
    such class (PNET Sec. 2.2: 500)"""
    score: Literal["confidence", "evidence"] = "confidence"
    """Score of a scan: size and mean probability of its tumor, or x / (1 + x) of the voxels x found
    relative to the least that call it, the larger of tumor and duct: 0.5 is the rule's border
    (Sec. 3.3; Not stated in PNET: votes have no probabilities)"""
    voxel_mm: float | None = None
    """Side in mm of the cubic voxels that the two least numbers, the saturation and
    infer.roi_margin count: of 1, these are mm³ and mm in scans of any spacing. None counts the
    voxels that the networks see (Sec. 2.3: voxels)"""
    saturation_voxels: int = 1500
    """Tumor size from which the score's size term is 1 (Not stated: the paper sees no change of
    results between K = 50 and K = 1500)"""
    size_weight: float = 0.5
    """Weight of the size term; the mean tumor probability has the rest (Not stated: equal parts)"""

    def __post_init__(self) -> None:
        check.fraction("component_fraction", self.component_fraction)
        check.at_least("near_voxels", self.near_voxels, 0)
        check.positive("min_tumor_voxels", self.min_tumor_voxels)
        check.at_least("min_duct_voxels", self.min_duct_voxels, 0)
        check.positive("voxel_mm", 1.0 if self.voxel_mm is None else self.voxel_mm)
        check.positive("saturation_voxels", self.saturation_voxels)
        check.fraction("size_weight", self.size_weight)
        check.literals(self)


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
        down = self.model.downsampling
        check.divisible("data.patch", (self.data.patch,), down, f"{self.model.network} halves it")
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
        self._require_classes()

    def _require_classes(self) -> None:
        """The dilated duct is a class of the network exactly where it is one of the labels."""
        num_classes = 4 if self.prepare.duct else 3
        if self.model.num_classes != num_classes:
            raise ValueError(
                f"model.num_classes={self.model.num_classes} must be {num_classes} with "
                f"prepare.duct={self.prepare.duct}"
            )
        if self.decision.min_duct_voxels and not self.prepare.duct:
            raise ValueError("decision.min_duct_voxels needs prepare.duct")
        if self.decision.score == "confidence" and self.infer.combine == "vote":
            raise ValueError("decision.score=confidence needs probabilities, infer.combine=average")
