"""Recipes of DAF-Net and of the networks that it is compared with; `tiny` for two CPU cores."""

from dataclasses import replace

from core.train.config import RunConfig
from eusdaf.config import AugmentConfig, Config, DataConfig, ModelConfig, OptimConfig, PrepareConfig

_DAF = Config()
# Each baseline with what suits it best (Sec. 4); the paper does not say what that was.
_UNET = replace(
    _DAF,
    data=DataConfig(batch=16),
    model=ModelConfig(network="unet"),
    optim=OptimConfig("adam", learning_rate=1e-4, drop_epochs=(), weight_decay=0.0),
)

RECIPES = {
    "daf": _DAF,
    "daf-32x8d": replace(_DAF, model=ModelConfig(group_width=8)),
    "unet": _UNET,
    "attention-unet": replace(_UNET, model=ModelConfig(network="attention-unet")),
    # Two cores, minutes, no ImageNet weights: a thin network, small pictures, and Adam, since the
    # paper's learning rates are made for a trained encoder.
    "tiny": replace(
        _DAF,
        run=RunConfig(epochs=30, log_every=10, checkpoint_every=100),
        prepare=PrepareConfig(size=128),
        data=DataConfig(batch=8),
        augment=AugmentConfig(reach_px=1.024, sigma_px=10.24),
        model=ModelConfig(width=16, blocks=(1, 1, 1, 1), groups=4, group_width=16, features=16),
        optim=OptimConfig("adam", 2e-3, drop_epochs=(20,), drop_factor=0.1, weight_decay=0.0),
    ),
}
"""Named as in the paper, `daf` with the 32x4d encoder (Sec. 2.4); `tiny` for two CPU cores."""
