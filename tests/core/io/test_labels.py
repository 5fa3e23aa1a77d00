import numpy as np
import pytest

from core.errors import InputError
from core.io.labels import check_ids, present_ids, require_same_grid
from core.volume import CANONICAL_DIRECTION, Volume, canonical, reorient
from tests.refusals import refused


def volume(array, spacing_mm=(2, 1, 1), origin_mm=(0, 0, 0)):
    return Volume(array, spacing_mm, origin_mm, CANONICAL_DIRECTION)


IMAGE = volume(np.arange(24).reshape(2, 3, 4))


def test_ids_are_listed_and_unknown_ones_refused():
    label = volume(np.array([0, 2, 7, 2], np.uint8).reshape(1, 2, 2))
    assert present_ids(label) == [0, 2, 7]
    check_ids(label, {0, 2, 7, 9}, "label.nii.gz")
    with refused("label.nii.gz", [7], [0, 1, 2], hint="another data set"):
        check_ids(label, [0, 1, 2], "label.nii.gz")


def test_a_label_stored_along_other_axes_comes_back_on_the_image():
    ras = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    stored = reorient(IMAGE, ras)
    assert stored.shape != IMAGE.shape
    matched = require_same_grid(IMAGE, stored, "image", "label")
    np.testing.assert_array_equal(matched.array, IMAGE.array)


def test_a_lost_origin_is_matched_by_index_with_a_warning(caplog):
    label = volume(IMAGE.array, origin_mm=(50, 0, 0))
    np.testing.assert_array_equal(
        require_same_grid(IMAGE, label, "image", "label").array, IMAGE.array
    )
    assert "label: lies elsewhere than image" in caplog.text


def test_grids_that_differ_are_refused_and_both_files_named():
    other_shape = volume(np.zeros((2, 3, 5)))
    with refused(None, "a.nii", "b.nii", "shape", (2, 3, 5), IMAGE.shape):
        require_same_grid(IMAGE, other_shape, "a.nii", "b.nii")
    other_spacing = volume(IMAGE.array, spacing_mm=(2, 1, 1.01))
    with pytest.raises(
        InputError, match=r"b.nii does not fit a.nii: spacing \(2.0, 1.0, 1.01\) mm"
    ):
        require_same_grid(IMAGE, other_spacing, "a.nii", "b.nii")


def test_another_orientation_at_another_place_is_refused():
    # As the NIH labels: flipped, and with an origin of zero.
    flipped = Volume(IMAGE.array, (2, 1, 1), (0, 0, 0), CANONICAL_DIRECTION * [1, -1, 1])
    with refused(None, "a.nii", "b.nii", "SAL", "SPL", "position", hint="header"):
        require_same_grid(IMAGE, flipped, "a.nii", "b.nii")
    assert canonical(flipped).shape == IMAGE.shape
