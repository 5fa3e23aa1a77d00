"""One CT from its file to its label map, by an nnU-Net 2 model folder with mirrored windows.

Against nnU-Net itself over the same folder and file.
"""

from functools import partial
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks import harness
from core.io import nifti
from core.nnunet.predict import load, segment
from core.phantom.ct.phantom import make

EQUAL = 0.99
"""Least share of equal labels: untrained classes are nearly alike in many voxels, and nnU-Net sums
windows in half precision."""
SHAPE, SPACING_MM = (112, 101, 122), (3.0, 3.0, 3.0)
OF_NETWORK_MM, WINDOW = 4.5, 64


def measure(title: str, *, repeats: int) -> list[harness.Row]:
    """One row; ours alone needs a folder that only the peer can write."""
    module = harness.peer_module("nnunetv2_case")
    if module is None:
        return []
    with TemporaryDirectory() as temporary:
        scan = nifti.write(Path(temporary) / "scan_0000.nii.gz", _scan())
        folder = Path(temporary) / "model"
        folder.mkdir()
        module.write_model(folder, spacing_mm=OF_NETWORK_MM, window=WINDOW)
        network = load(folder)
        same: dict[str, float] = {}

        def equal(ours: np.ndarray, peer: np.ndarray) -> bool:
            same["equal_labels"] = float((ours == peer).mean())
            return same["equal_labels"] >= EQUAL

        row = harness.compare(
            title,
            lambda: segment(network, [nifti.read(scan)]).array,
            partial(module.segmenter(folder), scan),
            peer_name=f"nnU-Net {metadata.version('nnunetv2')}",
            equal=equal,
            repeats=repeats,
        )
    return [row | same]


def _scan():
    phantom = make(0, shape=SHAPE, spacing_mm=SPACING_MM, tumor_diameter_mm=30.0)
    return phantom.images["venous"]
