"""Slices of a CT and masks of them: where they lie, what their gray means, and the way back."""

import numpy as np
import pytest

from core.datasets.pancreas import IGNORE
from core.io import nifti
from core.io.inventory import find_scans
from core.io.scans import read_scan
from core.volume import CANONICAL_DIRECTION, Volume, canonical, orientation, reorient, same_grid
from fee.config import PrepareConfig
from fee.slices import make, to_mask_slices, to_slices, to_volume
from tests.refusals import refused

LIVER = 5
"""In the table of names of the real label file."""
DIRECTIONS = {"SPL": CANONICAL_DIRECTION, "IAR": -CANONICAL_DIRECTION, "LPS": np.eye(3)}


def volume(array: np.ndarray, direction: np.ndarray = CANONICAL_DIRECTION) -> Volume:
    return Volume(array, (2.0, 0.75, 0.75), (0.0, 0.0, 0.0), direction)


def disk(shape: tuple[int, int, int]) -> np.ndarray:
    """Ids of a disk of pancreas, off the center, with a smaller one of tumor in it."""
    d, h, w = np.indices(shape)
    radius = np.hypot((h + 0.5) / shape[1] - 0.4, (w + 0.5) / shape[2] - 0.55) + 0 * d
    return ((radius < 0.3).astype(np.uint8) + (radius < 0.15)).astype(np.uint8)


def test_the_window_becomes_0_to_255_and_is_rounded():
    hu = np.array([-1000, -100, -99, 70, 240, 3000], np.int16)
    array = np.repeat(np.repeat(hu[:, None, None], 32, 1), 32, 2)
    slices = to_slices(volume(array), PrepareConfig(size=32))
    assert slices.dtype == np.uint8
    # 255 (hu + 100) / 340: 0.75 and 127.5, which is rounded to even.
    np.testing.assert_array_equal(slices[:, 0, 0], [0, 0, 1, 128, 255, 255])


@pytest.mark.parametrize("name", DIRECTIONS)
def test_slices_are_the_same_however_the_volume_is_stored(name):
    array = np.random.default_rng(0).integers(-200, 300, (5, 32, 32), np.int16)
    stored = reorient(volume(array), DIRECTIONS[name])
    expected = to_slices(volume(array), PrepareConfig(size=32))
    np.testing.assert_array_equal(to_slices(stored, PrepareConfig(size=32)), expected)


def test_a_real_liver_is_liver_in_the_slices_and_any_flip_breaks_it(shared_data):
    folder = shared_data / "ct_abdomen"
    (scan,), _ = find_scans(folder / "example_ct_dicom")
    label = nifti.read_label(folder / "example_ct_dicom_seg.nii.gz")
    wide = PrepareConfig(window_hu=(-1024.0, 1016.0), size=512)  # 8 HU a gray value
    slices = to_slices(read_scan(scan), wide)
    liver = canonical(label).array == LIVER

    def mean_hu(mask: np.ndarray) -> float:
        return slices[mask].mean() * 8 - 1024

    # 89 HU in the volume; rounding to 8 HU moves a mean over so many voxels by far less than 1.
    assert mean_hu(liver) == pytest.approx(89, abs=1)
    # Over 4 cm a liver turned head to foot still covers itself for the most part.
    for axis, most in ((0, 80), (1, 50), (2, 50)):
        assert mean_hu(np.flip(liver, axis)) < most
    assert liver.any(axis=(0, 1)).nonzero()[0].mean() < 256, "the liver is at the left of a picture"


def test_a_mask_of_512_pixels_goes_there_and_back_unchanged(shared_data):
    folder = shared_data / "ct_abdomen"
    (scan,), _ = find_scans(folder / "example_ct_dicom")
    ct, label = read_scan(scan), nifti.read_label(folder / "example_ct_dicom_seg.nii.gz")
    pancreas = label.with_array((label.array == 7).astype(np.uint8))
    back = to_volume(to_mask_slices(pancreas, PrepareConfig()), ct)
    assert same_grid(back, canonical(ct))
    assert orientation(back) == "SPL"
    np.testing.assert_array_equal(reorient(back, label.direction).array, pancreas.array)


@pytest.mark.parametrize("size", [64, 512])
def test_a_mask_of_another_size_comes_back_within_a_pixel(shared_data, size):
    ct = nifti.read(shared_data / "ct_abdomen" / "example_ct.nii.gz")
    grid = canonical(ct)
    label = grid.with_array(disk(grid.shape))
    back = to_volume(to_mask_slices(reorient(label, ct.direction), PrepareConfig(size=size)), ct)
    pixel = max(grid.shape[1:]) / min(size, min(grid.shape[1:]))
    for ids in (1, 2):
        moved = (back.array[0] >= ids) != (label.array[0] >= ids)
        h, w = np.nonzero(moved)
        scaled = np.hypot((h + 0.5) / grid.shape[1] - 0.4, (w + 0.5) / grid.shape[2] - 0.55)
        radius = {1: 0.3, 2: 0.15}[ids]
        # What changed lies within a pixel of the circle: the longer one of the two grids'.
        assert (np.abs(scaled - radius) * min(grid.shape[1:]) <= pixel).all()


def test_tumor_never_leaves_the_pancreas():
    label = np.random.default_rng(0).integers(0, 3, (2, 50, 70)).astype(np.uint8)
    ids = to_mask_slices(volume(label), PrepareConfig(size=32))
    assert set(np.unique(ids)) == {0, 1, 2}
    pancreas = to_mask_slices(volume((label > 0).astype(np.uint8)), PrepareConfig(size=32))
    np.testing.assert_array_equal(ids > 0, pancreas > 0)


def test_a_mask_of_another_number_of_slices_is_refused():
    with pytest.raises(ValueError, match="mask has 2 slices and the volume 3"):
        to_volume(np.zeros((2, 32, 32), np.uint8), volume(np.zeros((3, 32, 32), np.int16)))
    with pytest.raises(ValueError, match="mask must have 3 axes"):
        to_volume(np.zeros((32, 32), np.uint8), volume(np.zeros((3, 32, 32), np.int16)))


def test_a_mask_with_voxels_that_nobody_annotated_is_refused():
    label = disk((3, 32, 32))
    label[1, 0, :5] = IGNORE
    read = lambda: (volume(np.zeros(label.shape, np.int16)), volume(label))  # noqa: E731
    with refused(None, "5 voxels are labelled ignore", hint="leave the case out"):
        make(read, PrepareConfig(size=32), labels_tumors=True)
