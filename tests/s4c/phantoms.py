"""Synthetic cases that are made once for a test session."""

import numpy as np

from core.datasets.pancreas import PANCREAS, TUMOR
from core.preprocess.crop import bounding_box
from s4c.data import Prepared


def prepared(case_id: str, *, tumor: bool, shape=(40, 50, 60), seed: int = 0) -> Prepared:
    """A noise scan whose voxels are all different, a block of pancreas and a block of tumor."""
    image = np.random.default_rng(seed).permutation(np.prod(shape)).reshape(shape)
    image = (image % 30_000).astype(np.int16)
    label = np.zeros(shape, np.uint8)
    label[12:28, 14:30, 20:44] = PANCREAS
    if tumor:
        label[16:24, 18:26, 24:32] = TUMOR
    return Prepared(
        case_id,
        case_id,
        case_id,
        image,
        mean=float(image.mean()),
        std=float(image.std()),
        label=label,
        pancreas_voxels=np.argwhere(label > 0).astype(np.int32),
        tumor_voxels=np.argwhere(label == TUMOR).astype(np.int32),
        pancreas_box=bounding_box(label > 0),
        tumor_box=bounding_box(label == TUMOR),
    )
