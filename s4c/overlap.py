"""Overlap of a predicted label with an annotated one."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Integer

from core.datasets.pancreas import BACKGROUND, IGNORE, TUMOR, in_pancreas
from core.metrics.overlap import dice


class Overlap(NamedTuple):
    """Dice coefficients; nan where neither label shows any."""

    pancreas: float
    """Of the pancreas, its tumor and duct included."""
    tumor: float


def overlap(pred: Integer[np.ndarray, "*s"], true: Integer[np.ndarray, "*s"]) -> Overlap:
    """Overlap over the voxels that are annotated.

    Args:
      pred: ids 0 background, 1 pancreas, 2 tumor, 3 dilated duct.
      true: likewise, and 255 where nobody annotated.
    """
    pred = np.where(true == IGNORE, BACKGROUND, pred)
    return Overlap(dice(pred != BACKGROUND, in_pancreas(true)), dice(pred == TUMOR, true == TUMOR))
