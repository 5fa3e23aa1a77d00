"""Recipes of both S4C papers, one per network; `tiny-*` for two CPU cores."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from core import json_io
from core.datasets.channels import Phase
from core.train.config import RunConfig
from s4c.classifier import config as classifier
from s4c.classifier.config import ClassifierConfig
from s4c.config import (
    Config,
    DataConfig,
    DecisionConfig,
    InferConfig,
    LossConfig,
    ModelConfig,
    PrepareConfig,
    SplitConfig,
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


def _pnet(phase: Phase, model: ModelConfig) -> Config:
    """A network of the PNET paper: one for each phase, whose windows vote."""
    aux_weights = LossConfig().aux_weights[: model.num_aux]
    return Config(
        split=SplitConfig(normal="folds"),
        prepare=PrepareConfig(phase=phase, duct=True),
        model=model,
        loss=LossConfig(aux_weights, class_weights=(1.0,) * 4),
        infer=InferConfig(combine="vote"),
        decision=DecisionConfig(
            positive="PNET",
            near_voxels=27.0,
            min_tumor_voxels=40,
            min_duct_voxels=500,
            score="evidence",
        ),
    )


_TINY_WIDTHS = {"resdsn": 8, "unet3d": 4, "vnet": 2}


def _tiny_pnet(paper: Config) -> Config:
    """A PNET recipe for scans of about 4 mm voxels, whose patches of 16³ are 64 mm wide."""
    return replace(
        paper,
        run=RunConfig(steps=500, log_every=25, checkpoint_every=250),
        # Patches anywhere in the scan leave tumors unheard in so few steps: with three types in
        # equal numbers, a third of the patches have one. A margin of 32 voxels is the whole scan.
        data=DataConfig(patch=16, batch=16, sampling="roi", symmetries="none"),
        model=replace(paper.model, width=_TINY_WIDTHS[paper.model.network]),
        # With a weight of 2 some networks found no tumor in 700 steps; with 4 the venous one, which
        # was among them, has a tumor DSC of 0.36 after 300.
        loss=replace(paper.loss, class_weights=(1.0, 1.0, 4.0, 4.0)),
        optim=replace(paper.optim, learning_rate=0.3),
        infer=replace(paper.infer, stride=8, batch=64),
        # 27 voxels are half of such a scan. Of 4 mm voxels, 60 are 3.8 ml, a tumor of 19 mm: normal
        # phantoms of seed 0 that the networks had not learned from mostly showed fewer. A duct is
        # one such voxel wide, and these networks call it tumor or pancreas.
        decision=replace(paper.decision, near_voxels=5.0, min_tumor_voxels=60, min_duct_voxels=12),
    )


_COMPARED: dict[str, ModelConfig] = {
    "": ModelConfig(num_classes=4),
    "-unet3d": ModelConfig("unet3d", num_classes=4, num_aux=0),
    "-vnet": ModelConfig("vnet", num_classes=4, width=16, num_aux=0),
}
_PHASES: tuple[Phase, ...] = ("venous", "arterial")
_PNET = {
    f"pnet-{phase}{name}": _pnet(phase, model)
    for phase in _PHASES
    for name, model in _COMPARED.items()
}

SEGMENTATION = {
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
    **_PNET,
    **{f"tiny-{name}": _tiny_pnet(cfg) for name, cfg in _PNET.items()},
}
"""Named as in the papers, one per network (Sec. 2.2) and phase (PNET Sec. 3.1)."""

AnyConfig = Config | ClassifierConfig

RECIPES: Mapping[str, AnyConfig] = {**SEGMENTATION, **classifier.RECIPES}


def config_class(run: Path) -> type[AnyConfig]:
    """Class of the config of a run folder, told by its sections.

    A folder without a config that can be read is left to whoever opens it as a run.
    """
    path = run / "config.json"
    sections = set(json_io.read_json(path)) if path.is_file() else set()
    only_a_classifiers = sections <= {field.name for field in fields(ClassifierConfig)}
    return ClassifierConfig if sections and only_a_classifiers else Config
