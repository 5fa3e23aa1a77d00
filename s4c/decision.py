"""From a segmentation to a decision that a radiologist can check (Sec. 2.3, 3.3)."""

from collections.abc import Hashable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from core.datasets.pancreas import BACKGROUND, DUCT, PANCREAS, TUMOR
from core.postprocess.components import keep_large
from s4c.config import DecisionConfig

K = TypeVar("K", bound=Hashable)


class Decision(NamedTuple):
    """Outcome of one scan."""

    positive: bool
    score: float
    num_tumor_voxels: int
    num_pancreas_voxels: int
    num_duct_voxels: int


def remove_outliers(label: UInt8[np.ndarray, "d h w"], cfg: DecisionConfig) -> np.ndarray:
    """Turn small components of the pancreas set (all but background) into background.

    Voxels are 6-neighbours; a component stays if it is larger than 20 % of the largest (Sec. 2.3),
    or nearer to it than the PNET paper's 27 voxels (PNET Sec. 2.2).

    Args:
      label: ids 0 background, 1 pancreas, 2 tumor, 3 dilated duct.
      cfg: holds the share and the distance.

    Returns:
      Label of the same shape.
    """
    kept = keep_large(
        label != BACKGROUND, cfg.component_fraction, neighbors=6, near_voxels=cfg.near_voxels
    )
    return np.where(kept, label, BACKGROUND).astype(label.dtype)


def decide(
    label: UInt8[np.ndarray, "d h w"],
    tumor_prob: Float[np.ndarray, "d h w"] | None,
    cfg: DecisionConfig,
) -> Decision:
    """Call a scan abnormal if at least K voxels are tumor, or enough are dilated duct; score it.

    The decision is the rule, not a threshold on the score (Sec. 3.3; PNET Sec. 2.2).

    Args:
      label: ids after `remove_outliers`.
      tumor_prob: probability of tumor, averaged over the networks; None where windows vote.
      cfg: the least numbers of voxels, and how the score is made.

    Returns:
      Decision with a score in [0, 1].

    Raises:
      ValueError: the score is of probabilities, and there are none.
    """
    tumor = label == TUMOR
    num_tumor, num_duct = int(np.count_nonzero(tumor)), int(np.count_nonzero(label == DUCT))
    return Decision(
        positive=num_tumor >= cfg.min_tumor_voxels or 0 < cfg.min_duct_voxels <= num_duct,
        score=score_of(
            num_tumor, num_duct, tumor_prob if tumor_prob is None else tumor_prob[tumor], cfg
        ),
        num_tumor_voxels=num_tumor,
        num_pancreas_voxels=int(np.count_nonzero(label == PANCREAS)),
        num_duct_voxels=num_duct,
    )


def score_of(
    num_tumor: int,
    num_duct: int,
    tumor_prob: Float[np.ndarray, " n"] | None,
    cfg: DecisionConfig,
) -> float:
    """Score in [0, 1] of so many voxels, `tumor_prob` being that of each voxel of tumor.

    Raises:
      ValueError: the score is of probabilities, and there are none.
    """
    if cfg.score == "evidence":
        return evidence(num_tumor, num_duct, cfg)
    if tumor_prob is None:
        raise ValueError("a score of confidence needs probabilities")
    return confidence(tumor_prob, cfg)


def confidence(tumor_prob: Float[np.ndarray, " n"], cfg: DecisionConfig) -> float:
    """W · min(1, n / n_sat) + (1 − w) · mean probability of the n tumor voxels; 0 when n = 0."""
    size = min(1.0, tumor_prob.size / cfg.saturation_voxels)
    sureness = float(tumor_prob.mean(dtype=np.float64)) if tumor_prob.size else 0.0
    return cfg.size_weight * size + (1 - cfg.size_weight) * sureness


def evidence(num_tumor: int, num_duct: int, cfg: DecisionConfig) -> float:
    """X / (1 + x), x the voxels found relative to the least that the rule asks for.

    Of tumor and duct the larger x counts: exactly the scans that the rule calls have 0.5 or more.
    """
    duct = num_duct / cfg.min_duct_voxels if cfg.min_duct_voxels else 0.0
    x = max(num_tumor / cfg.min_tumor_voxels, duct)
    return x / (1 + x)


def fused(decisions: Mapping[K, Decision]) -> K:
    """Which scan of an examination decides: it is abnormal if any of them is (PNET Sec. 2.2).

    Returns:
      Key of the abnormal scan with the highest score; of none, of the scan with the highest.
    """
    return max(decisions, key=lambda key: (decisions[key].positive, decisions[key].score))
