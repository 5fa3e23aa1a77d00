"""From a segmentation to a decision that a radiologist can check (Sec. 2.3, 3.3)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from core.datasets.pancreas import BACKGROUND, PANCREAS, TUMOR
from core.postprocess.components import keep_large
from s4c.config import DecisionConfig


class Decision(NamedTuple):
    """Outcome of one scan."""

    positive: bool
    score: float
    num_tumor_voxels: int
    num_pancreas_voxels: int


def remove_outliers(label: UInt8[np.ndarray, "d h w"], cfg: DecisionConfig) -> np.ndarray:
    """Turn small components of the pancreas set (pancreas and tumor together) into background.

    Voxels are 6-neighbours; a component stays if it is larger than 20 % of the largest (Sec. 2.3).

    Args:
      label: ids 0 background, 1 pancreas, 2 tumor.
      cfg: holds the share.

    Returns:
      Label of the same shape.
    """
    kept = keep_large(label != BACKGROUND, cfg.component_fraction, neighbors=6)
    return np.where(kept, label, BACKGROUND).astype(label.dtype)


def decide(
    label: UInt8[np.ndarray, "d h w"],
    tumor_prob: Float[np.ndarray, "d h w"],
    cfg: DecisionConfig,
) -> Decision:
    """Call a scan PDAC if at least K voxels are tumor, and score how sure that is.

    score = w · min(1, n / n_sat) + (1 − w) · mean tumor probability over the n tumor voxels, and 0
    when n = 0. The decision is the K rule, not a threshold on the score (Sec. 3.3).

    Args:
      label: ids after `remove_outliers`.
      tumor_prob: probability of tumor, averaged over the networks.
      cfg: K, the weights.

    Returns:
      Decision with a score in [0, 1].
    """
    tumor = label == TUMOR
    num_tumor = int(np.count_nonzero(tumor))
    size = min(1.0, num_tumor / cfg.saturation_voxels)
    sureness = float(tumor_prob[tumor].mean(dtype=np.float64)) if num_tumor else 0.0
    return Decision(
        positive=num_tumor >= cfg.min_tumor_voxels,
        score=cfg.size_weight * size + (1 - cfg.size_weight) * sureness,
        num_tumor_voxels=num_tumor,
        num_pancreas_voxels=int(np.count_nonzero(label == PANCREAS)),
    )
