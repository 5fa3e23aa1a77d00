"""Numbers of the networks that tell a patient's status, with their addresses."""

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from core import check
from core.train.config import RunConfig
from lnmet.config import RECIPES as SEGMENTATION
from lnmet.config import Axes, FineTuningConfig, Phase, PrepareConfig, SplitConfig

Part = Literal["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]
"""Of a ResNet, as torchvision calls them."""
KEPT_SLICES = 3
"""Of each plane, with a prepared case."""


@dataclass(frozen=True)
class DataConfig:
    """From prepared cases to pictures of the tumor."""

    target: Literal["status"] = "status"
    """What is told (Sec. III-B)"""
    phases: tuple[Phase, ...] = ("arterial", "venous")
    """Phases that are looked at (Sec. IV-A)"""
    channels: Literal["mask", "mean", "venous"] = "mask"
    """Three, as ImageNet's pictures have: both phases and the tumor's mask, both phases and their
    mean, or the venous phase three times (Not stated: the authors' published example has the
    mask)"""
    window_hu: tuple[float, float] = (-100.0, 240.0)
    """Range of HU, clipped and scaled to [0, 1] before ImageNet's normalization (Not stated: soft
    tissue with contrast)"""
    slices: int = KEPT_SLICES
    """With the largest tumor area, in each of three planes; no more are kept (Sec. III-B)"""
    size: int = 224
    """Side of a picture in voxels (Sec. IV-A)"""
    box: Axes = (96, 128, 128)
    """Voxels (D, H, W) around the tumor for a 3D network (Not stated: holds tumors of 8 cm)"""
    batch: int = 32
    """Pictures, or boxes, per step, over all devices (Not stated: usual for this network)"""

    def __post_init__(self) -> None:
        check.one_of("target", self.target, ("status",))
        check.one_of("channels", self.channels, ("mask", "mean", "venous"))
        for name in ("slices", "size", "batch"):
            check.positive(name, getattr(self, name))
        if self.slices > KEPT_SLICES:
            raise ValueError(f"slices must be at most {KEPT_SLICES}; got {self.slices}")
        for side in self.box:
            check.positive("a side of the box", side)
        if self.window_hu[0] >= self.window_hu[1]:
            raise ValueError(f"window_hu needs low < high; got {self.window_hu}")
        if not self.phases or any(phase not in get_args(Phase) for phase in self.phases):
            raise ValueError(f"phases must be some of {get_args(Phase)}; got {self.phases}")
        needs_both = self.channels != "venous"
        if needs_both is not (set(self.phases) == set(get_args(Phase))):
            raise ValueError(f"channels={self.channels} does not go with phases={self.phases}")


@dataclass(frozen=True)
class AugmentConfig:
    """Random rotation, scale, mirroring and intensity of every picture."""

    degrees: float = 15.0
    """Largest angle, in the plane of the picture (Not stated: patients lie alike)"""
    scales: tuple[float, float] = (0.9, 1.1)
    """Range of the factor (Not stated: bodies differ by as much)"""
    mirror_probability: float = 0.5
    """Of each axis (Not stated: nnU-Net's)"""
    intensity: float = 0.1
    """Largest change of the contrast, as a share, and of the brightness, as a share of the window
    (Not stated: scanners and timing differ by as much)"""

    def __post_init__(self) -> None:
        check.fraction("mirror_probability", self.mirror_probability)
        check.fraction("intensity", self.intensity)
        if not 0 <= self.degrees <= 90:
            raise ValueError(f"degrees must lie in [0, 90]; got {self.degrees}")
        if not 0 < self.scales[0] <= self.scales[1]:
            raise ValueError(f"scales needs 0 < low <= high; got {self.scales}")


@dataclass(frozen=True)
class ModelConfig:
    """A ResNet-18 with a side branch of the tumor's mask, and what is made of its last features."""

    network: Literal["resnet2d", "resnet3d"] = "resnet2d"
    """Of nine pictures, or of one box (Sec. III-B, IV-E)"""
    width: int = 64
    """Channels of the first layer (Ref: He et al. 2016, Table 1)"""
    pooling: Literal["mean", "texture", "both"] = "both"
    """Global average, texture encoding layer, or one beside the other (Eq. 6)"""
    texture: Literal["example", "deepten", "dep"] = "example"
    """Descriptors and codewords of the encoding: 64 and 8, 128 and 32 with a 1 × 1 convolution, or
    512 and 8 with a norm alone (Not stated: 49 places are few for 32 codewords, and the authors'
    published example has 8; DeepTEN and DEP have the others)"""
    nodes: bool = True
    """Add the volume of the largest metastatic node; without, ClsfromPDAC (Eq. 7)"""
    hidden: int = 64
    """Units before the last layer; 0, that layer alone (Not stated: authors' published example)"""
    frozen: tuple[Part, ...] = ()
    """Parts whose parameters stay as ImageNet left them; their norms go on following the batches,
    as PyTorch's do (Not stated: the authors' published example freezes conv1 to layer3)"""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute type; parameters and logits stay float32 (Not stated: the safe one)"""

    def __post_init__(self) -> None:
        check.one_of("network", self.network, ("resnet2d", "resnet3d"))
        check.one_of("pooling", self.pooling, ("mean", "texture", "both"))
        check.one_of("texture", self.texture, ("example", "deepten", "dep"))
        check.one_of("dtype", self.dtype, ("float32", "bfloat16"))
        check.positive("width", self.width)
        check.at_least("hidden", self.hidden, 0)
        if unknown := [part for part in self.frozen if part not in get_args(Part)]:
            raise ValueError(f"frozen must be some of {get_args(Part)}; got {unknown}")
        if self.network == "resnet3d" and self.pooling != "mean":
            raise ValueError("resnet3d has pooling=mean alone (Sec. IV-E)")


@dataclass(frozen=True)
class InferConfig:
    """From the mean probability of a patient's pictures to a status."""

    threshold: float = 0.5
    """Probability from which a patient is metastasis-positive (Not stated: the more probable)"""

    def __post_init__(self) -> None:
        check.fraction("threshold", self.threshold)


@dataclass(frozen=True)
class StatusConfig:
    """A network for the status: how it is trained and how it is asked."""

    run: RunConfig = field(default_factory=lambda: RunConfig(epochs=50))
    """Passes over the training pictures, seed, logging and checkpoints (Not stated: 50)"""
    split: SplitConfig = field(default_factory=SplitConfig)
    """Cross-validation (Sec. IV-A)"""
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    """Grid (Sec. IV-A)"""
    data: DataConfig = field(default_factory=DataConfig)
    """Pictures (Sec. III-B)"""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Augmentation (Not stated: what differs between bodies, scanners and timing)"""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Network (Sec. III-B)"""
    optim: FineTuningConfig = field(default_factory=FineTuningConfig)
    """Optimizer (Sec. IV-A)"""
    infer: InferConfig = field(default_factory=InferConfig)
    """Decision (Sec. III-B)"""


_STATUS = StatusConfig()
_BASELINE = ModelConfig(nodes=False, hidden=0)
_PAPER = {
    "status": _STATUS,
    "status-no-nodes": replace(_STATUS, model=ModelConfig(nodes=False)),
    "status-resnet2d": replace(_STATUS, model=replace(_BASELINE, pooling="mean")),
    "status-deepten": replace(
        _STATUS, model=replace(_BASELINE, pooling="texture", texture="deepten")
    ),
    "status-resnet3d": replace(
        _STATUS,
        data=DataConfig(batch=8),
        model=replace(_BASELINE, network="resnet3d", pooling="mean"),
    ),
}


def _tiny(paper: StatusConfig) -> StatusConfig:
    """A paper recipe cut down to a minute on two cores, for scans of about 2 mm voxels."""
    # Few steps are too few to see a texture, and one of boxes takes as long as ten of pictures.
    steps, batch = (120, 8) if paper.model.network == "resnet3d" else (400, 16)
    return replace(
        paper,
        run=RunConfig(steps=steps, log_every=20, checkpoint_every=steps),
        prepare=SEGMENTATION["tiny-nodes"].prepare,
        data=replace(paper.data, size=32, box=(16, 32, 32), batch=batch),
        model=replace(paper.model, width=8),
        optim=FineTuningConfig("adam", learning_rate=2e-3),
    )


RECIPES = {**_PAPER, **{f"tiny-{name}": _tiny(cfg) for name, cfg in _PAPER.items()}}
"""Ours, and the compared networks of Table VI: ClsfromPDAC is `status-no-nodes`; `tiny-*` are for
two cores."""
