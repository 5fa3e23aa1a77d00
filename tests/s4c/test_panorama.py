"""The PANORAMA challenge's two files of a scan."""

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest

from core.datasets.pancreas import PANCREAS, TUMOR
from core.errors import InputError
from core.io import nifti
from core.postprocess.components import components
from core.volume import CANONICAL_DIRECTION, Volume
from s4c.config import DecisionConfig, PrepareConfig
from s4c.decision import confidence
from s4c.infer import screen, screen_volume
from s4c.networks import Cascade
from s4c.panorama import DETECTION_MAP, LIKELIHOOD
from tests.s4c.test_networks import COARSE, PNET, runs, write_run
from tests.s4c.test_two_phases import SHAPE, write_data

__all__ = ["runs"]

LABEL = np.zeros((20, 24, 28), np.uint8)
LABEL[4:16, 4:20, 4:24] = PANCREAS
LABEL[5:7, 5:8, 5:9] = TUMOR
LABEL[7, 8, 9] = TUMOR  # touches the first at a corner
LABEL[12:15, 12:18, 14:22] = TUMOR
SURENESS = {0: 0.0, 1: 0.6, 2: 0.9}
RULE = DecisionConfig(min_tumor_voxels=8, saturation_voxels=50)


def probs(label):
    """The more certain of a tumor, the further back it lies."""
    tumor = np.where(np.arange(label.shape[0]) < 10, SURENESS[1], SURENESS[2])[:, None, None]
    hot = np.eye(3, dtype=np.float32)[label]
    rest = np.stack([0 * tumor, 1 - tumor, tumor], -1).astype(np.float32)
    return np.where((label == TUMOR)[..., None], rest, hot)


def detected(cfg, volume, label):
    """Segmentation of a network that answers `label`, on the scan's grid."""

    def predict(image):
        return probs(label[tuple(slice(n) for n in image.shape)])

    return screen_volume(volume, Cascade(cfg, [predict]), lesion_scores=True)[0]


def test_every_lesion_has_the_score_that_it_would_have_alone():
    cfg = replace(COARSE, decision=RULE)
    hu = np.linspace(-1000, 1000, LABEL.size).reshape(LABEL.shape).astype(np.int16)
    volume = Volume(hu, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), CANONICAL_DIRECTION)
    found = detected(cfg, volume, LABEL).detections
    assert found.dtype == np.float32
    ids, sizes = components(LABEL == TUMOR, neighbors=26)
    assert sizes.tolist() == [2 * 3 * 4 + 1, 3 * 6 * 8]
    assert (found[ids == 0] == 0).all()
    for number, size in enumerate(sizes, start=1):
        sure = np.full(size, SURENESS[number], np.float32)
        np.testing.assert_array_equal(found[ids == number], np.float32(confidence(sure, RULE)))


def test_lesions_of_another_grid_cover_the_tumor_of_the_scans_own():
    cfg = replace(COARSE, decision=RULE, prepare=PrepareConfig(spacing_mm=(2.0, 2.0, 2.0)))
    shape = tuple(2 * n for n in LABEL.shape)
    hu = np.linspace(-1000, 1000, np.prod(shape)).reshape(shape).astype(np.int16)
    volume = Volume(hu, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), CANONICAL_DIRECTION)
    own = detected(cfg, volume, LABEL)
    np.testing.assert_array_equal(own.detections > 0, own.label == TUMOR)
    ids, _ = components(own.label == TUMOR, neighbors=26)
    of_each = [np.unique(own.detections[ids == number]) for number in (1, 2)]
    wanted = [
        confidence(np.full(size, SURENESS[number], np.float32), RULE)
        for number, size in ((1, 2 * 3 * 4 + 1), (2, 3 * 6 * 8))
    ]
    np.testing.assert_array_equal(np.stack(of_each)[:, 0], np.float32(wanted))


def test_screen_writes_the_challenges_files_on_the_scans_grid(tmp_path, runs):
    data = write_data(tmp_path / "set", ("venous",))
    image = data / "imagesTr" / "a_0000.nii.gz"
    assert screen([image], runs=[runs[1]], out=tmp_path / "out", panorama=True) == 0
    (row,) = json.loads((tmp_path / "out" / "results.json").read_text())["cases"]
    folder = tmp_path / "out" / "cases" / row["id"]
    assert {LIKELIHOOD, DETECTION_MAP} <= set(row["files"])
    assert json.loads((folder / LIKELIHOOD).read_text()) == row["score"]
    found, scan = nifti.read_grid(folder / DETECTION_MAP), nifti.read_grid(image)
    assert found.shape == SHAPE
    np.testing.assert_allclose(found.affine_lps, scan.affine_lps, atol=1e-6)
    header, packed = (folder / DETECTION_MAP).read_bytes().split(b"LOCAL\n", 1)
    assert f"CompressedDataSize = {len(packed)}\n".encode() in header
    values = np.frombuffer(zlib.decompress(packed), "<f4").reshape(SHAPE)
    label = nifti.read_label(folder / "segmentation.nii.gz").array
    np.testing.assert_array_equal(values > 0, label == TUMOR)


def test_runs_whose_answers_the_challenge_does_not_take_are_refused(tmp_path):
    run = write_run(tmp_path / "run", PNET["venous"])
    with pytest.raises(InputError, match="--panorama is for PDAC in one contrast phase"):
        screen([tmp_path], runs=[run], out=tmp_path / "out", panorama=True)
