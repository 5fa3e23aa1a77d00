import numpy as np
import pytest
from scipy import ndimage

from core.nnunet.label_on import label_on


def scores_of(shape, num_classes=3):
    return np.random.default_rng(0).normal(size=(*shape, num_classes)).astype(np.float32)


def test_the_same_grid_gives_the_class_of_the_highest_score():
    scores = scores_of((3, 4, 5))
    label = label_on(scores, (3, 4, 5), axis=None)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, scores.argmax(-1))


def test_ties_go_to_the_lower_class():
    assert not label_on(np.zeros((2, 2, 2, 3), np.float32), (3, 3, 3), axis=None).any()


@pytest.mark.parametrize("shape", [(7, 6, 11), (2, 9, 5)])
def test_scores_are_interpolated_linearly_between_centers_of_voxels(shape):
    scores = scores_of((4, 5, 6))
    factors = [new / old for new, old in zip(shape, scores.shape, strict=False)]
    expected = [
        ndimage.zoom(scores[..., k], factors, order=1, mode="nearest", grid_mode=True)
        for k in range(3)
    ]
    np.testing.assert_array_equal(label_on(scores, shape, axis=None), np.argmax(expected, axis=0))


def test_across_the_coarse_axis_the_nearest_slice_is_taken():
    scores = scores_of((2, 4, 4))
    label = label_on(scores, (4, 4, 4), axis=0)
    np.testing.assert_array_equal(label, scores.argmax(-1)[[0, 0, 1, 1]])
