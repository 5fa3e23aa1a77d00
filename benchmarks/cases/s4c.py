"""The coarse pass of S4C over one CT volume, 64³ windows at stride 20 and averaged softmax.

Against MONAI's `sliding_window_inference` over the same network with the same weights in PyTorch.
"""

from functools import partial
from importlib import metadata

import numpy as np

from benchmarks import harness
from core import sharding
from s4c import model
from s4c.cascade import most_probable
from s4c.networks import sliding
from s4c.recipes import SEGMENTATION


def measure(title: str, *, repeats: int, shape: tuple[int, int, int]) -> list[harness.Row]:
    """One row; the time of a window does not depend on its voxels."""
    cfg = SEGMENTATION["pdac-64"]
    image = np.random.default_rng(0).standard_normal(shape, np.float32)
    window = (1, *(cfg.data.patch,) * 3, 1)
    weights = harness.drawn(lambda key: model.init(cfg.model, key, window))
    module = harness.peer_module("monai_s4c")
    same: dict[str, float] = {}

    def equal(ours: np.ndarray, peer: np.ndarray) -> bool:
        labels = most_probable(ours) == most_probable(peer)
        same["largest_difference"] = float(np.abs(ours - peer).max())
        same["equal_labels"] = float(labels.mean())
        # Probabilities: rounding through 15 layers in two forms.
        return same["largest_difference"] <= harness.tolerance()

    row = harness.compare(
        title,
        partial(sliding(cfg, *weights, sharding.mesh()), image),
        module and partial(module.predictor(cfg, *weights), image),
        peer_name=f"MONAI {metadata.version('monai')}" if module else "",
        equal=equal,
        repeats=repeats,
    )
    return [row | same]
