"""Probabilities of nodes, averaged over folds, on grids of other spacings."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from core import sharding
from core.preprocess.fingerprint import Intensities
from core.preprocess.resample import coarse_axis, resample_image, shape_at
from lnmet.asking import positive
from lnmet.identification.config import RECIPES, DataConfig, ModelConfig
from lnmet.identification.infer import (
    Identifier,
    Network,
    classifier,
    crop_around,
)
from lnmet.model import identification

CFG = replace(
    RECIPES["tiny-identification"],
    data=DataConfig(patch=(8, 8, 8)),
    model=ModelConfig(features=(2, 2), strides=((1, 1, 1), (2, 2, 2))),
)
FILL = np.array([-7, -9], np.int16)


def examination() -> tuple[np.ndarray, np.ndarray]:
    """HU that are all different, and two nodes; slices of 4 mm with pixels of 1 mm."""
    hu = np.arange(6 * 24 * 24, dtype=np.int16).reshape(6, 24, 24)
    ids = np.zeros(hu.shape, np.int32)
    ids[2:4, 8:12, 8:12] = 1
    ids[0, 20:23, 20:23] = 2
    return hu, ids


def test_a_crop_is_centered_on_its_node_and_filled_outside():
    hu, ids = examination()
    images = [hu.astype(np.float32), hu + 0.4]
    crop = crop_around(images, ids, 2, (0, 21, 21), (8, 8, 8), FILL)
    # Index 4 is voxel (0, 21, 21), and the scan ends two voxels after it.
    assert crop["image"].dtype == np.int16
    assert crop["image"][4, 4, 4].tolist() == [hu[0, 21, 21]] * 2
    assert (crop["image"][:4] == FILL).all()
    assert (crop["image"][:, 7:] == FILL).all()
    np.testing.assert_array_equal(np.argwhere(crop["instance"])[[0, -1]], [[4, 3, 3], [4, 5, 5]])
    assert crop["instance"].sum() == 9


def test_a_mask_lies_where_the_resampled_image_shows_its_node():
    hu, ids = examination()
    spacing, new = (4.0, 1.0, 1.0), (2.0, 2.0, 2.0)
    shape = shape_at(hu.shape, spacing, new)
    lit = np.where(ids == 1, 100, 0).astype(np.int16)
    image = resample_image(lit, shape, axis=coarse_axis(spacing, new))
    crop = crop_around([image], ids, 1, (3, 10, 10), (8, 8, 8), FILL[:1])
    mask = crop["instance"] > 0
    # Two slices of 4 mm are four of 2 mm, and four pixels two.
    assert mask.sum() == 4 * 2 * 2
    assert (crop["image"][mask] > 50).all()
    assert crop["instance"][4, 4, 4] == 1


def test_a_node_between_the_voxels_of_a_grid_keeps_its_middle():
    ids = np.zeros((8, 8, 8), np.int32)
    ids[2, 2, 2] = 1  # the nearest of no voxel of twice the size
    images = [np.zeros((4, 4, 4), np.float32)]
    crop = crop_around(images, ids, 1, (2, 2, 2), (4, 4, 4), FILL[:1])
    np.testing.assert_array_equal(np.argwhere(crop["instance"]), [[2, 2, 2]])


def of_brightness(scale: float) -> Network:
    """A network that judges by the HU in the middle of a crop."""

    def ask(crops):
        middle = [scale * crop["image"][4, 4, 4, 0] for crop in crops]
        return np.stack([np.zeros(len(middle)), middle], axis=-1).astype(np.float32)

    return Network(ask, FILL)


def test_folds_are_averaged_as_probabilities():
    hu, ids = examination()
    hu = np.where(ids == 1, 2, np.where(ids == 2, -1, 0)).astype(np.float32)
    identifier = Identifier(CFG, [of_brightness(1.0), of_brightness(3.0)])
    expected = [np.mean([1 / (1 + np.exp(-k * x)) for k in (1, 3)]) for x in (2, -1)]
    np.testing.assert_allclose(identifier([hu, hu], ids), expected, rtol=1e-6)
    assert identifier([hu, hu], np.zeros_like(ids)).shape == (0,)


def test_the_threshold_itself_is_metastatic():
    identifier = Identifier(CFG, [])
    assert [identifier.is_positive(p) for p in (0.49, 0.5, None)] == [False, True, False]


def test_probabilities_are_a_softmax_without_overflow():
    logits = np.array([[0, 0], [0, 2], [800, 0], [0, 800]], np.float32)
    np.testing.assert_allclose(positive(logits), [0.5, 1 / (1 + np.exp(-2)), 0, 1])


@pytest.fixture(scope="module")
def variables():
    channels = [Intensities(-50.0, 200.0, 60.0, 40.0)] * 2
    shape = (1, *CFG.data.patch, 2)
    return identification.init(CFG.model, jax.random.key(0), shape, intensities=channels)


@pytest.mark.usefixtures("all_devices")
def test_any_number_of_nodes_goes_through_one_batch_on_any_devices(variables):
    rng = np.random.default_rng(0)
    crops = [
        {
            "image": rng.integers(-100, 200, (8, 8, 8, 2)).astype(np.int16),
            "instance": (rng.random((8, 8, 8)) < 0.1).astype(np.uint8),
        }
        for _ in range(5)
    ]
    one, all_ = (
        classifier(CFG, variables, sharding.mesh(jax.devices()[:n]))(iter(crops)) for n in (1, 8)
    )
    assert one.shape == (5, 2)
    # Sums of another order in float32.
    np.testing.assert_allclose(one, all_, rtol=1e-4, atol=1e-5)
    assert classifier(CFG, variables, sharding.mesh(jax.devices()[:1]))([]).shape == (0, 2)
