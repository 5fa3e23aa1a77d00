"""A series as the case page carries it: its values, its labels and where they lie."""

import base64
import zlib

import numpy as np
import pytest

from core.report.viewer_panel import LEVELS_HU, block_of, hu_of_levels, levels, pack, panel
from core.volume import CANONICAL_DIRECTION, Volume

SHAPE = (5, 6, 7)


def unpacked(text, shape):
    """As the script on the page does."""
    difference = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(shape)
    return np.cumsum(difference, axis=0, dtype=np.uint8)


def scan(array, spacing_mm=(3.0, 1.0, 1.0)):
    return Volume(array, spacing_mm, (-10.0, 20.0, 30.0), CANONICAL_DIRECTION)


def random_hu(shape=SHAPE):
    return np.random.default_rng(0).integers(-200, 300, shape).astype(np.int16)


@pytest.mark.parametrize(("low", "high", "step"), [(-1024, -200, 30), (-200, 300, 2.5)])
def test_a_value_differs_by_half_a_step_at_most(low, high, step):
    hu = np.arange(low, high + 1)
    shown = np.array(hu_of_levels())[levels(hu)]
    assert np.abs(shown - hu).max() <= step / 2 + 0.05  # written with one digit


def test_values_beyond_the_levels_are_the_first_and_the_last():
    hu = np.array([-32768, LEVELS_HU[0], LEVELS_HU[-1], 32767])
    assert levels(hu).tolist() == [0, 0, 255, 255]


def test_packing_keeps_every_byte():
    array = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
    np.testing.assert_array_equal(unpacked(pack(array), SHAPE), array)


def test_a_scan_that_fits_is_shown_voxel_by_voxel():
    hu, label = random_hu(), np.random.default_rng(1).integers(0, 4, SHAPE).astype(np.uint8)
    volume = scan(hu)
    made = panel("x", volume, label)
    assert (made.shape, made.source_shape, made.block) == (SHAPE, SHAPE, (1, 1, 1))
    np.testing.assert_array_equal(unpacked(made.image, SHAPE), levels(hu))
    np.testing.assert_array_equal(unpacked(made.label, SHAPE), label)
    np.testing.assert_array_equal(made.affine_lps, volume.affine_lps)


def test_a_large_scan_is_shown_by_the_means_of_blocks_in_their_middles():
    hu = random_hu()
    volume = scan(hu)
    made = panel("x", volume, max_voxels=5 * 3 * 4)  # 6 and 7 voxels of 1 mm become 3 and 4
    assert (made.shape, made.block, made.label) == ((5, 3, 4), (1, 2, 2), None)
    shown = unpacked(made.image, made.shape)
    means = np.array([hu[2, 2:4, :2].mean(), hu[2, 2:4, 6:].mean()])  # the last is half a block
    np.testing.assert_array_equal(shown[2, 1, [0, 3]], levels(means))
    middle = volume.affine_lps @ [2, 2.5, 0.5, 1]
    np.testing.assert_allclose(made.affine_lps @ [2, 1, 0, 1], middle)


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "block"),
    [
        ((100, 512, 512), (2.5, 0.7, 0.7), (1, 2, 2)),
        ((667, 512, 512), (0.7, 0.8, 0.8), (3, 2, 2)),
        ((20, 512, 512), (2.0, 1.0, 1.0), (1, 1, 1)),
    ],
)
def test_the_finest_axes_are_made_coarser_first(shape, spacing_mm, block):
    assert block_of(shape, spacing_mm, 16_000_000) == block


def test_an_axis_is_made_no_coarser_than_it_is_long():
    volume = scan(random_hu((1, 8, 8)), spacing_mm=(0.1, 1.0, 1.0))
    made = panel("x", volume, max_voxels=16)
    assert (made.shape, made.block) == ((1, 4, 4), (1, 2, 2))
    np.testing.assert_allclose(made.affine_lps[:3, 2], volume.affine_lps[:3, 2] * 2)


def test_a_block_has_the_label_of_most_of_its_voxels_and_half_is_enough_for_a_lesion():
    label = np.zeros((1, 2, 8), np.uint8)
    label[0, :, 2] = 2  # half of the second block
    label[0, 0, 4] = 2  # a quarter of the third
    label[0, :, 6:] = [[1, 1], [1, 2]]
    made = panel("x", scan(np.zeros(label.shape, np.int16)), label, max_voxels=4)
    assert unpacked(made.label, made.shape).tolist() == [[[0, 2, 0, 1]]]


def test_the_view_begins_in_the_middle_of_what_is_labelled():
    label = np.zeros(SHAPE, np.uint8)
    label[3, 1:4, 5] = 1
    volume = scan(random_hu())
    for ids, voxel in ((label, (3, 2, 5)), (None, (2, 3, 3)), (0 * label, (2, 3, 3))):
        expected = (volume.affine_lps @ [*voxel, 1])[:3]
        np.testing.assert_allclose(panel("x", volume, ids).focus_mm, expected)


def test_refuses_a_scan_that_is_not_canonical():
    stored = Volume(random_hu(), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    with pytest.raises(ValueError, match=r"give core\.volume\.canonical"):
        panel("x", stored)


def test_refuses_labels_of_another_grid():
    with pytest.raises(ValueError, match="equal shapes"):
        panel("x", scan(random_hu()), np.zeros((5, 6, 8), np.uint8))
