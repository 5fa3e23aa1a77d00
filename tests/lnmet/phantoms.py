"""Synthetic cases that are made once for a test session."""

import numpy as np

from core.preprocess.crop import Box
from lnmet.data import Prepared
from lnmet.labels import CLASSES, METASTATIC, NODE, PANCREAS, PDAC, classes
from lnmet.nodes import annotated_nodes


def prepared(case_id: str, *, shape=(30, 40, 50), seed: int = 0) -> Prepared:
    """A scan of two phases whose voxels are all different.

    Pancreas with a tumor, aorta, a node without metastasis, and a metastatic one.
    """
    rng = np.random.default_rng(seed)
    venous = (rng.permutation(np.prod(shape)).reshape(shape) % 30_000).astype(np.int16)
    image = np.stack([venous + 1000, venous], axis=-1).astype(np.int16)
    label = np.zeros(shape, np.uint8)
    label[10:20, 14:26, 10:34] = PANCREAS
    label[12:16, 16:20, 12:18] = PDAC
    label[4:26, 30:34, 20:24] = 4
    label[14:17, 8:11, 20:23] = NODE
    label[21:24, 8:12, 30:34] = METASTATIC
    attention = np.zeros(shape, np.float16)
    attention[4:26, 4:36, 6:40] = 1
    targets = ("organs", "pdac", "nodes")
    return Prepared(
        case_id,
        case_id,
        case_id,
        phases=("arterial", "venous"),
        image=image,
        label=label,
        attention=attention,
        box=Box((2, 2, 4), (28, 38, 42)),
        voxels={t: voxels_of(classes(label, t), len(CLASSES[t])) for t in targets},
        hu={t: image[classes(label, t) > 0].T for t in targets},
        annotated=frozenset({4, PANCREAS, PDAC, NODE, METASTATIC}),
        nodes=annotated_nodes(label),
    )


def voxels_of(label: np.ndarray, num_classes: int) -> np.ndarray:
    """Class and index of every voxel of each class but the background."""
    rows = [np.insert(np.argwhere(label == k), 0, k, axis=1) for k in range(1, num_classes)]
    return np.concatenate(rows).astype(np.int32)
