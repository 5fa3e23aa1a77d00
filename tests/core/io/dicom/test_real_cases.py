"""What becomes of every folder of real DICOM that is known to break loaders."""

import shutil
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from core.io import nifti
from core.io.dicom.geometry import grid
from core.io.dicom.header import NotUsedError, read_frames
from core.io.dicom.pixels import read_hu
from core.io.dicom.warnings import quiet
from core.io.labels import require_same_grid
from tests.core.io.dicom.look import find_volumes

GE_TILT = (
    "gantry tilt of 18.5 degrees: each slice is shifted by 1.75 mm against the one below; "
    "the distance between slices varies from 1.08 to 7.00 mm"
)
DIRECTORY, LOCALIZER = "an index of other files (DICOMDIR)", "a localizer"
CAPTURE = "Secondary Capture Image Storage, not a CT image"
MR = "MR Image Storage, not a CT image"

# Folder: (number of volumes, the reasons of all that was left out, each once), with two slices
# accepted as a volume. With the default of eight every series here is "too few".
TABLE = {
    "dcm_qa_ct/In/GE": (0, {f"series of 6 slices: {GE_TILT}"}),
    "dcm_qa_ct/In/Philips/S21570/S1000": (0, {DIRECTORY, LOCALIZER}),
    "dcm_qa_ct/In/Philips/S21570/S2010": (1, {DIRECTORY}),
    "dcm_qa_ct/In/Philips/S21570/S4010": (0, {DIRECTORY, CAPTURE}),
    "dcm_qa_ct/In/Philips/S21610/S1000": (0, {DIRECTORY, LOCALIZER}),
    "dcm_qa_ct/In/Philips/S21610/S2010": (
        0,
        {
            DIRECTORY,
            "series 'STEREOTAXIS' of 3 slices: gantry tilt of 18.5 degrees: each slice is shifted "
            "by 0.79 mm against the one below",
        },
    ),
    "dcm_qa_ct/In/Philips/S21610/S4010": (0, {DIRECTORY, CAPTURE}),
    "dicom2nifti/tests/data/failing/gantrytilting/001": (
        0,
        {
            "series of 4 slices: gantry tilt of 14.0 degrees: each slice is shifted by 1.21 mm "
            "against the one below"
        },
    ),
    "dicom2nifti/tests/data/failing/notavolume/001": (
        0,
        {
            "series of 2 slices: 2 slices share a position: the first pair is at 61.50 mm along "
            "the normal"
        },
    ),
    "dicom2nifti/tests/data/failing/sliceincrement/001": (
        0,
        {
            "series of 4 slices: slices are missing between 28.11 and 38.11 mm (the usual step is "
            "5.00 mm)"
        },
    ),
    "dicom2nifti/tests/data/failing/sliceincrement/002": (
        0,
        {
            "series of 4 slices: gantry tilt of 15.5 degrees: each slice is shifted by 0.28 mm "
            "against the one below; slices are missing between -133.75 and -132.25 mm (the usual "
            "step is 0.75 mm)"
        },
    ),
    "dicom2nifti/tests/data/failing/slicecount/001": (0, {MR}),
    "dicom2nifti/tests/data/failing/sliceorientation/001": (0, {MR}),
    "dicom2nifti/tests/data/generic/compressed_jpeg/001": (0, {MR}),
    "dicom2nifti/tests/data/generic/compressed_rle/001": (0, {MR}),
}


def files(folder):
    return [p for p in Path(folder).rglob("*") if p.is_file()]


@pytest.mark.parametrize("name", TABLE)
def test_every_folder_is_a_volume_or_refused_with_its_reason(shared_data, name):
    num_volumes, reasons = TABLE[name]
    folder = shared_data / "dicom_cases" / name
    volumes, skipped = find_volumes(folder, min_slices=2)
    assert len(volumes) == num_volumes
    assert {s.reason for s in skipped} == reasons
    volumes, skipped = find_volumes(folder, min_slices=8)
    assert volumes == []
    assert (
        any("too few for a volume, which needs at least 8" in s.reason for s in skipped)
        == any("series" in r for r in reasons)
        or num_volumes
    )


def test_the_table_has_every_folder_with_images(shared_data):
    root = shared_data / "dicom_cases"
    folders = {p.parent.relative_to(root).as_posix() for p in files(root) if _is_image(p)}
    assert folders == set(TABLE)


def _is_image(path):
    return path.suffix == ".dcm" or path.name.startswith("I")


def test_slices_of_the_disc_tree_make_one_volume_in_order(shared_data):
    (volume,), _ = find_volumes(
        shared_data / "dicom_cases/dcm_qa_ct/In/Philips/S21570", min_slices=2
    )
    assert [f.path.name for f in volume] == ["I10", "I20"]
    assert grid(volume).spacing_mm == (5.0, 0.451171875, 0.451171875)
    array = read_hu(volume)
    assert (array.dtype, array.shape) == (np.int16, (2, 512, 512))
    assert array.min() == -1024


def test_a_slice_stored_twice_counts_once_and_a_padding_may_be_unsigned(shared_data, tmp_path):
    with zipfile.ZipFile(
        shared_data / "dicom_cases/dicom-numpy/tests/dupe-positions.zip"
    ) as packed:
        packed.extractall(tmp_path)
    volumes, skipped = find_volumes(tmp_path, min_slices=2)
    assert volumes == []
    assert [s.reason for s in skipped] == [
        "series 'CT0' of 3 slices: slices are missing between -352.50 and -90.00 mm (the usual "
        "step is 12.50 mm)",
        "a duplicate of CT26.dcm",  # equal pixels, two objects
    ]
    (frame,) = read_frames(tmp_path / "dupe-positions" / "CT21.dcm")
    assert frame.padding == (63536, 63536)  # signed pixels: -2000, as the synthetic series test


@pytest.mark.parametrize("kind", ["jpeg", "rle"])
def test_compressed_slices_decode_as_their_authors_did(shared_data, kind, tmp_path):
    folder = shared_data / "dicom_cases/dicom2nifti/tests/data/generic" / f"compressed_{kind}"
    for path in files(folder / "001"):
        data = pydicom.dcmread(path)
        # MR, but never mind: with an offset its values could be a CT's.
        data.SOPClassUID, data.Modality = pydicom.uid.CTImageStorage, "CT"
        data.RescaleSlope, data.RescaleIntercept = 1, -1024
        data.save_as(tmp_path / path.name)
    (volume,), _ = find_volumes(tmp_path, min_slices=2)
    truth = nib.load(folder.parent / f"compressed_{kind}" / "001_ground_truth.nii.gz")
    ours = grid(volume).with_array(read_hu(volume))
    # Same voxels at the same points in the patient: compare by world coordinates.
    to_ijk = np.linalg.inv(truth.affine) @ np.diag([-1, -1, 1, 1]) @ ours.affine_lps
    dhw = np.indices(ours.shape).reshape(3, -1)
    ijk = np.rint(to_ijk[:3, :3] @ dhw + to_ijk[:3, 3:]).astype(int)
    stored = np.asarray(truth.dataobj)[tuple(ijk)]
    np.testing.assert_array_equal(stored.astype(int) - 1024, ours.array.ravel())


def test_liver_is_liver_and_any_flip_breaks_it(shared_data):
    folder = shared_data / "ct_abdomen"
    (volume,), skipped = find_volumes(folder / "example_ct_dicom", min_slices=8)
    image = grid(volume).with_array(read_hu(volume))
    label_path = folder / "example_ct_dicom_seg.nii.gz"
    label = require_same_grid(image, nifti.read_label(label_path), "image", label_path)
    liver, pancreas = 5, 7  # the file's own table of names, in its header
    assert skipped == []
    assert np.count_nonzero(label.array == pancreas) == 1327
    inside = label.array == liver
    assert round(float(image.array[inside].mean())) == 89
    for axis in range(3):
        assert np.flip(image.array, axis)[inside].mean() < 80
    assert np.flip(image.array, (1, 2))[inside].mean() < 80


@pytest.mark.parametrize("name", ["CT_small.dcm", "J2K_pixelrep_mismatch.dcm", "693_J2KI.dcm"])
def test_pydicoms_own_ct_files_decode_to_hu(name):
    with quiet():
        path = Path(get_testdata_file(name, download=False))
        data = pydicom.dcmread(path)
        expected = data.pixel_array * float(data.RescaleSlope) + float(data.RescaleIntercept)
    padding = data.get("PixelPaddingValue")
    if padding is not None:
        expected[data.pixel_array == padding] = -1024
    np.testing.assert_array_equal(read_hu(read_frames(path))[0], expected)


def test_a_truncated_real_file_is_named(tmp_path):
    with quiet():
        source = Path(get_testdata_file("CT_small.dcm", download=False))
    path = tmp_path / "CT_small.dcm"
    shutil.copy(source, path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(NotUsedError, match="truncated: 30906 of the 32768 bytes of its pixels"):
        read_frames(path)
