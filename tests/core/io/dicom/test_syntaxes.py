"""CT slices in every transfer syntax that pydicom's own test files offer."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    generate_uid,
)

from core.io.dicom.pixels import read_hu
from core.io.dicom.warnings import quiet
from tests.core.io.dicom.look import find_volumes

ROOT = Path(pydicom.__file__).parent / "data" / "test_files"
# The same picture in each, without loss.
SAME = [
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_expb.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
]
OTHERS = [
    "693_J2KI.dcm",
    "CT_small.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "JPEG2000.dcm",
    "JPEGLSNearLossless_16.dcm",
    "JPGExtended.dcm",
]
LOSSY = {"JPEGLSNearLossless_16.dcm", "JPGExtended.dcm"}
STORED_IN_HU = "J2K_pixelrep_mismatch.dcm"
# Offered with 8 bits only, which hold no HU. JPEG without loss is tested on real slices beside.
NOT_OF_16_BITS = {JPEGBaseline8Bit, JPEGLosslessSV1, DeflatedExplicitVRLittleEndian}


def as_ct(name, folder, *, syntax=None):
    """Eight CT slices 3 mm apart with the pixels of a test file, and these pixels."""
    with quiet():
        data = pydicom.dcmread(ROOT / name)
        stored = data.pixel_array
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
        data.Modality, data.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.ImageOrientationPatient, data.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.7, 0.8]
        offset = 0 if name == STORED_IN_HU else -1024
        data.RescaleSlope, data.RescaleIntercept = 1, offset
        data.SeriesInstanceUID = generate_uid(entropy_srcs=[name])
        if "PixelPaddingValue" in data:
            del data.PixelPaddingValue
        if syntax:
            data.file_meta.TransferSyntaxUID = syntax
        for k in range(8):
            data.ImagePositionPatient, data.SOPInstanceUID = [0, 0, 3 * k], f"1.2.3.{k}"
            data.save_as(folder / f"I{k}")
    return stored.astype(np.int32) + offset


def read(folder):
    (volume,), skipped = find_volumes(folder, min_slices=8)
    assert skipped == []
    return read_hu(volume)


@pytest.mark.parametrize("name", SAME + OTHERS)
def test_a_series_decodes_as_pydicom_does(tmp_path, name):
    expected = as_ct(name, tmp_path)
    np.testing.assert_array_equal(read(tmp_path), np.broadcast_to(expected, (8, *expected.shape)))


@pytest.mark.parametrize("name", [*SAME, *OTHERS])
def test_compression_that_loses_is_told_whatever_the_header_says(tmp_path, name, caplog):
    as_ct(name, tmp_path)
    for path in tmp_path.iterdir():
        data = pydicom.dcmread(path)
        if "LossyImageCompression" in data:
            del data.LossyImageCompression
            data.save_as(path)
    read(tmp_path)
    assert ("compressed with loss" in caplog.text) == (name in LOSSY)


@pytest.mark.parametrize("name", SAME[1:])
def test_no_syntax_without_loss_changes_the_picture(tmp_path, name):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    np.testing.assert_array_equal(as_ct(name, tmp_path / "a"), as_ct(SAME[0], tmp_path / "b"))
    np.testing.assert_array_equal(read(tmp_path / "a"), read(tmp_path / "b"))


def test_a_deflated_series_is_read_and_a_cut_one_named(tmp_path):
    expected = as_ct("MR_small.dcm", tmp_path, syntax=DeflatedExplicitVRLittleEndian)
    np.testing.assert_array_equal(read(tmp_path)[0], expected)
    path = tmp_path / "I7"
    path.write_bytes(path.read_bytes()[:-100])
    _, skipped = find_volumes(tmp_path, min_slices=7)
    assert [(s.path.name, s.is_broken) for s in skipped] == [("I7", True)]


def test_no_syntax_is_left_out():
    tested = {_syntax(ROOT / name) for name in SAME + OTHERS}
    offered = {_syntax(p) for p in ROOT.glob("*.dcm")} - {None}
    assert offered == tested | NOT_OF_16_BITS


def _syntax(path) -> UID | None:
    """Transfer syntax of a file with pixels."""
    with quiet():
        data = pydicom.dcmread(path, force=True, specific_tags=["Rows"])
        return data.file_meta.get("TransferSyntaxUID") if "Rows" in data else None
