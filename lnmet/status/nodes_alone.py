"""The rule that looks at nodes alone, ClsbyLNSeg: is the largest metastatic node large enough?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core import json_io
from core.metrics.classification import best_threshold
from lnmet.data import Prepared

FILE = "nodes_alone.json"
"""Of a run folder."""


class Threshold(NamedTuple):
    """Volume from which the largest metastatic node makes a patient positive.

    Args:
      volume_mm3: of the node.
      part: of the training data that it was chosen on.
    """

    volume_mm3: float
    part: str


def choose_threshold(
    volumes_mm3: Mapping[str, float], parts: Mapping[str, Sequence[Prepared]]
) -> Threshold | None:
    """The volume of the best balanced accuracy (Sec. IV-E).

    Args:
      volumes_mm3: of the largest metastatic node, by case; others are left out.
      parts: cases by the name of their part, the validation part first; the first part with
        patients of both kinds decides.

    Returns:
      The threshold; None where no part has patients of both kinds.
    """
    for part, cases in parts.items():
        known = [c for c in cases if c.id in volumes_mm3 and c.status is not None]
        truth = np.array([bool(case.status) for case in known], bool)
        if truth.any() and not truth.all():
            volumes = np.array([volumes_mm3[case.id] for case in known], float)
            return Threshold(float(best_threshold(volumes, truth)), part)
    return None


def write_threshold(run: Path, threshold: Threshold | None) -> None:
    """Keep it in a run folder."""
    if threshold is not None:
        json_io.write_json(run / FILE, threshold._asdict())


def read_threshold(run: Path) -> float | None:
    """mm³ of a run folder; None where there is none."""
    path = run / FILE
    return json_io.read_json(path)["volume_mm3"] if path.is_file() else None
