"""Logits brought back by nnU-Net's own export function, and by ours."""

import numpy as np
import pytest
from scipy import ndimage

from core.preprocess.resample import coarse_axis
from core.preprocess.resample_back import label_on

pytestmark = pytest.mark.parity
resampling = pytest.importorskip("nnunetv2.preprocessing.resampling.default_resampling")


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "new_shape", "new_spacing_mm"),
    [
        ((20, 24, 28), (0.8, 0.7, 0.7), (16, 31, 40), (1.0, 0.54, 0.49)),
        ((12, 40, 44), (2.5, 0.7, 0.7), (6, 56, 61), (5.0, 0.5, 0.5)),
        ((30, 30, 30), (1.0, 1.0, 1.0), (30, 30, 30), (1.0, 1.0, 1.0)),
    ],
)
def test_labels_are_nnunets(shape, spacing_mm, new_shape, new_spacing_mm):
    noise = np.random.default_rng(0).normal(size=(5, *shape))
    logits = ndimage.gaussian_filter(noise, (0, 2, 2, 2)).astype(np.float32)
    peer = resampling.resample_data_or_seg_to_shape(
        logits, new_shape, spacing_mm, new_spacing_mm, order=1, order_z=0, force_separate_z=None
    )
    axis = coarse_axis(spacing_mm, new_spacing_mm)
    labels = label_on(np.moveaxis(logits, 0, -1), new_shape, axis=axis)
    # Both round; where the two highest are as close as that, either is right.
    highest = np.sort(peer, axis=0)
    clear = highest[-1] - highest[-2] > 1e-5 * np.abs(logits).max()
    np.testing.assert_array_equal(labels[clear], peer.argmax(0)[clear])
    assert clear.mean() > 0.999
