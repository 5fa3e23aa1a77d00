"""`prepare` needs so many bytes for a voxel of a case, as its module says, and no more."""

import json
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import fee.prepare
import lnmet.prepare
import s4c.prepare
from fee.config import PrepareConfig, ScreenConfig

SIZE = 160
SHAPE = (SIZE, SIZE, SIZE)
BASE = 1 << 22
"""Of what is no voxel: modules, tables, JSON."""


def write_case(root: Path, num_channels: int) -> None:
    """A case of whole HU with a pancreas and a tumor, in files without packing."""
    random, label = np.random.default_rng(0), np.zeros(SHAPE, np.uint8)
    label[40:90, 50:90, 60:100], label[50:60, 60:70, 70:80] = 1, 2
    affine = np.diag([-0.7, -0.7, 0.8, 1.0])
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    for channel in range(num_channels):
        hu = random.integers(-110, 180, SHAPE).astype(np.int16)
        hu[:40] = -1000
        nib.save(nib.Nifti1Image(hu, affine), root / "imagesTr" / f"a_{channel:04d}.nii")
    nib.save(nib.Nifti1Image(label, affine), root / "labelsTr" / "a.nii")
    description = {
        "channel_names": {str(channel): "CT" for channel in range(num_channels)},
        "labels": {"background": 0, "pancreas": 1, "tumor": 2},
        "file_ending": ".nii",
    }
    (root / "dataset.json").write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("prepare", "cfgs", "num_channels"),
    [
        (s4c.prepare, {}, 1),
        # Slices as large as those of the case, as 512 × 512 are for the paper's.
        (fee.prepare, {"prepare": PrepareConfig(size=SIZE), "screen": ScreenConfig(size=SIZE)}, 1),
        (lnmet.prepare, {}, 2),
    ],
    ids=["s4c", "fee", "lnmet"],
)
def test_a_case_takes_the_stated_bytes_for_a_voxel(prepare, cfgs, num_channels, tmp_path):
    write_case(tmp_path / "data", num_channels)
    tracemalloc.start()
    try:
        prepare.prepare([tmp_path / "data"], tmp_path / "cache", **cfgs)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    stated = prepare.BYTES_PER_VOXEL * np.prod(SHAPE)
    # The borders of splines are 12 voxels wide: of a scan as small as this, 0.1 of the whole more.
    # Any copy in floats more is 4 bytes, at least 0.13; and users plan with the number.
    assert 0.85 * stated < peak < 1.12 * stated + BASE
