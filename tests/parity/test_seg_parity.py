"""DICOM-SEG of `fee diagnose` on a real series, read back by dcmqi and by highdicom."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from core.io.inventory import find_scans
from core.io.nifti import read_label
from core.io.scans import read_grid
from core.volume import Volume, reorient, same_grid
from fee.infer import diagnose
from tests.fee.tiny import MODELS, config, write_run

pytestmark = pytest.mark.parity

STUDY = {"StudyInstanceUID": "study", "SeriesInstanceUID": "series", "FrameOfReferenceUID": "frame"}


@pytest.fixture(scope="module")
def series(shared_data, tmp_path_factory) -> Path:
    """The real series; its UIDs were emptied when it was published, and are put back."""
    folder = tmp_path_factory.mktemp("seg") / "series"
    folder.mkdir()
    for path in sorted((shared_data / "ct_abdomen" / "example_ct_dicom").iterdir()):
        data = pydicom.dcmread(path)
        for name, purpose in STUDY.items():
            setattr(data, name, generate_uid(entropy_srcs=[purpose]))
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID
        data.SOPInstanceUID = generate_uid(entropy_srcs=[path.name])
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.save_as(folder / path.name)
    return folder


@pytest.fixture(scope="module")
def written(series, tmp_path_factory) -> tuple[Path, Volume]:
    """The DICOM-SEG, and the same labels as NIfTI."""
    out = tmp_path_factory.mktemp("seg") / "out"
    runs = tmp_path_factory.mktemp("seg") / "runs"
    for task in MODELS:
        cfg = config(task)
        everywhere = replace(cfg.infer, threshold=0.0 if task == "locate" else cfg.infer.threshold)
        write_run(runs / task, task, replace(cfg, infer=everywhere))
    assert diagnose([series], [runs], out) == 0
    (seg,) = out.rglob("segmentation.dcm")
    labels = read_label(seg.with_name("segmentation.nii.gz"))
    assert 0 < labels.array.sum() < labels.array.size
    return seg, labels


def test_dcmqi_reads_the_same_voxels_in_the_same_place(written, tmp_path):
    pytest.importorskip("dcmqi", reason="needs `make peers`")
    seg, labels = written
    command = [Path(sys.executable).with_name("segimage2itkimage"), "--inputDICOM", seg]
    command += ["--outputDirectory", tmp_path, "--outputType", "nii"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (read,) = tmp_path.glob("*.nii.gz")
    theirs = read_label(read)
    ours = reorient(labels, theirs.direction)
    assert same_grid(ours, theirs)
    np.testing.assert_array_equal(theirs.array > 0, ours.array > 0)


def test_highdicom_reads_the_same_voxels_in_the_same_place(written, series):
    seg, labels = written
    volume = highdicom.seg.segread(seg).get_volume(combine_segments=True)
    (scan,), _ = find_scans(series)
    placed = reorient(labels, read_grid(scan).direction)
    theirs = Volume(
        np.asarray(volume.array),
        tuple(volume.spacing),
        tuple(volume.position),
        np.asarray(volume.direction),
    )
    ours = reorient(placed, theirs.direction)
    assert same_grid(ours, theirs)
    np.testing.assert_array_equal(theirs.array > 0, ours.array > 0)
