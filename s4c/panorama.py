"""A scan's answer as the PANORAMA challenge takes it.

    panorama/pdac-likelihood.json                             a number in [0, 1]
    panorama/images/pdac-detection-map/detection_map.mha      float32 on the scan's own grid

Every voxel of a lesion, a 26-connected component, has the lesion's likelihood; elsewhere it is 0.

Source: https://github.com/DIAGNijmegen/PANORAMA_baseline (src/process.py), and `picai_eval`, which
judges the maps.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from core import json_io
from core.datasets.pancreas import TUMOR
from core.io.metaimage import write_metaimage
from core.io.scans import Scan, read_grid
from core.postprocess.components import components
from core.preprocess.regrid import Regrid
from core.volume import Volume, reorient
from s4c.cascade import Segmentation
from s4c.config import DecisionConfig
from s4c.decision import score_of

NEIGHBORS = 26
LIKELIHOOD = "panorama/pdac-likelihood.json"
DETECTION_MAP = "panorama/images/pdac-detection-map/detection_map.mha"


def detections(
    own: Segmentation, segmentation: Segmentation, rule: DecisionConfig, grid: Regrid | None
) -> Float[np.ndarray, "d h w"]:
    """Likelihood of each lesion: the score that the scan would have with this lesion alone.

    Args:
      own: on the scan's grid.
      segmentation: the same on the networks' grid.
      rule: in voxels of that grid.
      grid: the way to it; None where the networks see the scan's own.

    Returns:
      Likelihoods on the scan's grid, float32.
    """
    ids, sizes = components(segmentation.label == TUMOR, neighbors=NEIGHBORS)
    inside = ids > 0
    id_of, prob = ids[inside], segmentation.tumor_prob
    prob_of = None if prob is None else prob[inside]
    scores = np.zeros(len(sizes) + 1, np.float32)
    for number, size in enumerate(sizes, start=1):
        probs = None if prob_of is None else prob_of[id_of == number]
        scores[number] = score_of(int(size), 0, probs, rule)
    if grid is None:
        return scores[ids]
    # At their borders the nearest voxel of the other grid may be none of the lesion's.
    lesions, own_sizes = components(own.label == TUMOR, neighbors=NEIGHBORS)
    nearest = scores[grid.ids_back(ids)]
    best = ndimage.maximum(nearest, lesions, index=np.arange(len(own_sizes) + 1))
    best = np.asarray(best, np.float32)
    best[0] = 0
    return best[lesions]


def write_answer(folder: Path, scan: Scan, found: Volume, score: float) -> list[str]:
    """Write the challenge's two files of a scan.

    Args:
      folder: of the case.
      scan: whose grid the map gets.
      found: detections, with the scan's axes in any order and direction.
      score: of the scan.

    Returns:
      The files, below the folder.
    """
    placed = reorient(found, read_grid(scan).direction)
    write_metaimage(folder / DETECTION_MAP, placed)
    json_io.write_json(folder / LIKELIHOOD, score)
    return [LIKELIHOOD, DETECTION_MAP]
