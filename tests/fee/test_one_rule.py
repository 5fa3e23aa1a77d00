"""What is learned from is what is diagnosed: one rule for volumes, and the same words."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest

from core.data.index import read_index
from fee.config import PrepareConfig, ScreenConfig
from fee.infer import diagnose
from fee.prepare import prepare
from tests.fee.tiny import SIZE, write_runs

WIDTH, MIN_SLICES = 24, 8
CASES = {
    # Voxels (x, y, z), spacing in mm, and why it is refused.
    "axial": ((WIDTH, WIDTH, 10), (2.0, 2.0, 5.0), ""),
    "large": ((2 * WIDTH, 2 * WIDTH, 10), (1.0, 1.0, 5.0), "not 24 × 24 pixels (48 × 48)"),
    "coronal": ((WIDTH, 10, WIDTH), (2.0, 5.0, 2.0), "coronal"),
    "few": ((WIDTH, WIDTH, MIN_SLICES - 1), (2.0, 2.0, 5.0), "7 slices, fewer than 8"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("one_rule") / "data"
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, (shape, spacing, _) in CASES.items():
        hu = random.integers(-150, 250, shape).astype(np.int16)
        hu[:3] = -1000
        label = np.zeros(shape, np.uint8)
        label[8:14, 3:7, 2:5] = 1
        label[9:11, 4:6, 3:4] = 2
        affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
        nib.save(nib.Nifti1Image(hu, affine), root / "imagesTr" / f"{name}_0000.nii.gz")
        nib.save(nib.Nifti1Image(label, affine), root / "labelsTr" / f"{name}.nii.gz")
    labels = {"background": 0, "pancreas": 1, "tumor": 2}
    description = {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(description))
    return root


def prepared(data, folder, size):
    """Reason of each case that was left out, "" of those that were not."""
    screening = ScreenConfig(size=size, min_slices=MIN_SLICES)
    is_incomplete = prepare([data], folder, screen=screening, prepare=PrepareConfig(size=SIZE))
    (index,) = folder.glob("*/index.json")
    (contents,) = read_index(index.parent).values()
    reasons = {s.path.name.split("_")[0]: s.reason for s in contents.skipped}
    assert is_incomplete == bool(reasons)
    return dict.fromkeys(contents.cases, "") | reasons


def diagnosed(data, out, size):
    paths = sorted((data / "imagesTr").iterdir())
    choices = {"screen.size": size, "screen.min_slices": MIN_SLICES}
    status = diagnose(paths, [write_runs(out / "runs")[0].parent], out / "pred", choices=choices)
    cases = json.loads((out / "pred" / "results.json").read_text())["cases"]
    reasons = {}
    for case in cases:
        with (out / "pred" / "cases" / case["id"] / "screening.csv").open() as file:
            (row,) = csv.DictReader(file)
        assert (case["status"] == "done") == (row["bucket"] == "used")
        reasons[case["id"].split("_")[0]] = row["reason"]
    assert status == any(reasons.values())
    return reasons


@pytest.mark.parametrize("size", [WIDTH, 0])
def test_prepare_and_diagnose_refuse_alike_and_with_the_same_words(data, tmp_path, size):
    of_prepare = prepared(data, tmp_path / "cache", size)
    assert of_prepare == diagnosed(data, tmp_path / "out", size)
    for name, (*_, reason) in CASES.items():
        expected = "" if size == 0 and name == "large" else reason
        assert of_prepare[name].startswith(expected)
        assert bool(of_prepare[name]) == bool(expected)
