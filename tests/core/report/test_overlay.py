"""Views of a scan: the right plane, the right way up, with lengths in proportion."""

import io

import numpy as np
import pytest
from PIL import Image

from core.io import nifti
from core.report.outline import Outline
from core.report.overlay import center, decisive_slice, overlay
from core.volume import CANONICAL_DIRECTION, Volume, canonical

LIVER, VERTEBRA_L1, PANCREAS = 5, 31, 7  # TotalSegmentator v2
RED, GREEN = (255, 0, 0), (0, 255, 0)
CELL = 432  # pixels: a quarter of 12 inches at 144 per inch


def _volume(array, spacing_mm=(2.0, 1.0, 1.0)):
    return Volume(array, spacing_mm, (0.0, 0.0, 0.0), CANONICAL_DIRECTION)


def _box(shape, *slices):
    mask = np.zeros(shape, bool)
    mask[slices] = True
    return mask


def _cells(png):
    """Pixels of the four views, without the legend below them."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    return [pixels[:CELL, i * CELL : (i + 1) * CELL] for i in range(4)]


def _where(cell, color):
    """Mean row and column of a color, and its height and width; as fractions of the cell."""
    rows, columns = np.nonzero(np.abs(cell - color).sum(-1) < 60)
    extent = np.array([np.ptp(rows), np.ptp(columns)])
    return np.array([rows.mean(), columns.mean()]) / CELL, extent / CELL


def test_decisive_slice_has_the_most_voxels():
    mask = _box((5, 6, 7), 1, 2, 3) | _box((5, 6, 7), 3, slice(2, 4), 3)
    assert decisive_slice(mask) == 3
    assert decisive_slice(np.zeros((5, 6, 7), bool)) == 5 // 2


def test_center_is_the_voxel_at_the_centroid():
    mask = _box((9, 9, 9), slice(1, 4), slice(2, 5), slice(5, 8))
    assert center(mask) == (2, 3, 6)
    assert center(np.zeros((9, 8, 7), bool)) == (9 // 2, 8 // 2, 7 // 2)


def test_views_show_right_on_the_left_front_on_top_and_head_up():
    shape = (40, 40, 40)
    # An object near the head (high d), the front (low h) and the patient's left (high w).
    mask = _box(shape, slice(30, 36), slice(4, 10), slice(30, 36))
    image = _volume(np.full(shape, -500, np.int16), (1.0, 1.0, 1.0))
    axial, _, coronal, sagittal = _cells(overlay(image, [Outline("x", mask, "red", False)], mask))
    (row, column), _ = _where(axial, RED)
    assert row < 0.4  # front on top
    assert column > 0.6  # the patient's left on the right
    (row, column), _ = _where(coronal, RED)
    assert row < 0.4  # head up
    assert column > 0.6
    (row, column), _ = _where(sagittal, RED)
    assert row < 0.4
    assert column < 0.4  # front on the left


def test_a_cube_in_millimeters_is_a_square_in_every_view():
    shape = (20, 60, 60)
    mask = _box(shape, slice(5, 10), slice(20, 35), slice(25, 40))  # 15 mm on every side
    image = _volume(np.full(shape, -500, np.int16), (3.0, 1.0, 1.0))
    for cell in _cells(overlay(image, [Outline("x", mask, "lime", False)], mask)):
        _, (height, width) = _where(cell, GREEN)
        # Gaps of the dashed line and a line width.
        assert height == pytest.approx(width, abs=0.03)


def test_an_object_at_the_border_of_the_scan_is_outlined_on_all_sides():
    shape = (10, 30, 30)
    mask = np.ones(shape, bool)
    image = _volume(np.full(shape, -500, np.int16))
    axial = _cells(overlay(image, [Outline("x", mask, "red", True)], mask))[0]
    _, (height, width) = _where(axial, RED)
    assert min(height, width) > 0.9


def test_a_scan_without_findings_is_still_shown():
    shape = (10, 30, 30)
    empty = np.zeros(shape, bool)
    image = _volume(np.full(shape, 70, np.int16))
    png = overlay(image, [Outline("tumor, predicted", empty, "red", True)], empty)
    assert all(cell.max() > 0 for cell in _cells(png))


def test_window_maps_its_ends_to_black_and_white():
    array = np.full((4, 64, 64), -100, np.int16)
    array[:, :, 32:] = 240
    empty = np.zeros(array.shape, bool)
    axial = _cells(overlay(_volume(array), [], empty))[0]
    assert axial[CELL // 4, CELL // 8].tolist() == [0, 0, 0]
    assert axial[CELL // 4, -CELL // 8].tolist() == [255, 255, 255]


def test_same_drawing_gives_the_same_bytes():
    image = _volume(np.zeros((4, 8, 8), np.int16))
    mask = _box((4, 8, 8), 2, 3, 4)
    outlines = [Outline("x", mask, "red", True)]
    assert overlay(image, outlines, mask) == overlay(image, outlines, mask)


def test_refuses_a_scan_that_is_not_canonical():
    stored = Volume(np.zeros((4, 4, 4)), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    with pytest.raises(ValueError, match=r"runs to L, P, S: give core\.volume\.canonical"):
        overlay(stored, [], np.zeros((4, 4, 4), bool))


def test_refuses_a_mask_of_another_grid():
    with pytest.raises(ValueError, match="equal shapes"):
        overlay(_volume(np.zeros((4, 4, 4))), [], np.zeros((4, 4, 5), bool))


def test_real_scan_has_the_liver_on_the_left_and_the_spine_below(shared_data):
    folder = shared_data / "ct_abdomen"
    image = canonical(nifti.read(folder / "example_ct.nii.gz"))
    label = canonical(nifti.read_label(folder / "example_ct_seg.nii.gz")).array
    outlines = [
        Outline("liver", label == LIVER, "red", False),
        Outline("vertebra L1", label == VERTEBRA_L1, "lime", False),
    ]
    axial = _cells(overlay(image, outlines, label == PANCREAS))[0]
    (_, liver_column), _ = _where(axial, RED)
    (spine_row, spine_column), _ = _where(axial, GREEN)
    assert liver_column < 0.4 < spine_column < 0.6 < spine_row
