"""From tumor probabilities of a patient's slices to an answer, and the slices that gave it."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from fee.config import InferConfig

MAJORITY = 0.5
"""Share of the slices that a vote needs; a tie is a tumor, since a miss weighs more."""
NO_SLICE = "no slice shows a pancreas: called normal"


class Decision(NamedTuple):
    """What is said about a patient."""

    decision: Literal["tumor", "normal"]
    score: float
    """In [0, 1]; higher means more likely a tumor."""
    note: str
    """What a reader must know about it; mostly empty."""


def decide(probs: Float[np.ndarray, " n"], cfg: InferConfig) -> Decision:
    """Decide about one patient (Not stated in the paper).

    By "mean" the score is the mean probability, compared with the threshold; by "vote" it is the
    share of the slices at or above the threshold, compared with one half.

    Args:
      probs: tumor probability of every slice that shows the pancreas, of all phases together.
      cfg: rule and threshold.

    Returns:
      The decision; without any slice it is "normal" with score 0, and says so.
    """
    if not probs.size:
        return Decision("normal", 0.0, NO_SLICE)
    if cfg.rule == "mean":
        score, least = float(probs.mean(dtype=np.float64)), cfg.threshold
    else:
        score, least = float((probs >= cfg.threshold).mean()), MAJORITY
    return Decision("tumor" if score >= least else "normal", score, "")


def deciding(probs: Float[np.ndarray, " n"], decision: str, num: int) -> Int[np.ndarray, " k"]:
    """Indices of the slices that spoke most for a decision, the strongest first.

    Args:
      probs: tumor probability of slices.
      decision: "tumor" or "normal".
      num: at most so many.
    """
    strength = probs if decision == "tumor" else 1 - probs
    return np.argsort(-strength, kind="stable")[:num]
