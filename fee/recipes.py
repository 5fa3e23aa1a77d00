"""Recipes of the FEE-DL paper's three networks; `tiny-*` for two CPU cores."""

from dataclasses import replace

from core.train.config import RunConfig
from fee.config import (
    AugmentConfig,
    Config,
    DataConfig,
    InferConfig,
    ModelConfig,
    OptimConfig,
    PrepareConfig,
    ScreenConfig,
    SplitConfig,
)

_LOCATE = Config(
    task="locate",
    run=RunConfig(epochs=100, log_every=20, checkpoint_every=500),
    data=DataConfig(batch=32, slices="all"),
    model=ModelConfig("resnet", 64, (2, 2, 2, 2)),
    optim=OptimConfig(1e-3),
)
_SEGMENT = Config(
    task="segment",
    run=RunConfig(epochs=50, log_every=100, checkpoint_every=1000),
    data=DataConfig(batch=2, slices="pancreas"),
    model=ModelConfig("unet", 16),
    optim=OptimConfig(5e-4, drop_factor=0.05),
)
_DIAGNOSE = Config(
    task="diagnose",
    run=RunConfig(epochs=86, log_every=20, checkpoint_every=500),
    data=DataConfig(batch=32, slices="pancreas"),
    model=ModelConfig("resnet", 64, (3, 4, 6, 3)),
    optim=OptimConfig(5e-5, drop_epochs=0),
)


def _tiny(
    cfg: Config, epochs: int, drop_epochs: int, width: int, batch: int, threshold: float = 0.5
) -> Config:
    """A recipe for two cores and minutes: thin, few blocks, small slices.

    A narrower window and less change of brightness leave the few patients' tumors visible. Batch
    norm's running statistics follow within a few hundred steps only with a smaller momentum. All
    patients are learned from and the last weights used, at a rate that has dropped by then: the
    loss of the few that could be spared says more about who they are than about the weights.

    A U-Net of minutes misses parts of tumors, and what it misses speaks for no tumor. A threshold
    of 0.45 parts the patients of seed 1 that were looked at: 0.32 to 0.40 without, 0.49 to 0.63
    with a tumor.
    """
    thin = replace(cfg.model, width=width, norm_momentum=0.9)
    return replace(
        cfg,
        run=RunConfig(epochs=epochs, log_every=25, checkpoint_every=200),
        data=replace(cfg.data, batch=batch),
        model=replace(thin, blocks=(1, 1, 1, 1)) if thin.blocks else thin,
        optim=OptimConfig(3e-3, drop_epochs=drop_epochs),
        screen=ScreenConfig(size=128),
        prepare=PrepareConfig(window_hu=(20.0, 160.0), size=128),
        split=SplitConfig((1, 0, 0)),
        augment=AugmentConfig(brightness=0.1, contrast=0.1),
        infer=InferConfig(threshold=threshold, batch=8),
    )


RECIPES = {
    "locate": _LOCATE,
    "segment": _SEGMENT,
    "diagnose": _DIAGNOSE,
    "tiny-locate": _tiny(_LOCATE, 2, 1, 16, 16),
    "tiny-segment": _tiny(_SEGMENT, 2, 1, 8, 4),
    "tiny-diagnose": _tiny(_DIAGNOSE, 8, 6, 16, 16, 0.45),
}
"""The three networks of the paper, by the stage of its Figure 3; `tiny-*` for two CPU cores."""
