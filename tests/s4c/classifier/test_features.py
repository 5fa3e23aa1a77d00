"""A feature is a function of the voxels around it: tiles and regions of any size agree."""

from functools import partial

import jax
import numpy as np
import pytest

from core.data import patches
from core.nn.pool import max_pool
from core.preprocess.crop import Box
from s4c import model
from s4c.classifier.features import CELL, HALO, TILE, extractor, region
from s4c.config import ModelConfig
from s4c.model import resdsn

CFG = ModelConfig(width=2, num_aux=1)
SCAN = np.random.default_rng(0).standard_normal((70, 40, 90), np.float32)
ROUNDING = 1e-5
"""Of float32 through six layers, as a share of the largest feature."""


@pytest.fixture(scope="module")
def weights():
    """Random, with norms that shift: what lies outside of a scan is not zero inside the network."""
    drawn = jax.jit(lambda key: model.init(CFG, key, (1, 16, 16, 16, 1)))(jax.random.key(0))
    random = np.random.default_rng(0)
    moved = jax.tree.map(
        lambda a: a + np.float32(0.1) * random.standard_normal(a.shape, np.float32), drawn
    )
    return moved["params"], {"batch_stats": moved["batch_stats"]}


@pytest.fixture(scope="module")
def extract(weights):
    return partial(
        extractor(CFG, *weights),
        partial(patches.extract, SCAN, fill=0.0),
    )


def assert_close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=0, atol=ROUNDING * np.abs(expected).max())


def in_one_pass(weights, roi: Box, halo: int) -> np.ndarray:
    """Features of a region that the encoder sees at once, with more around it than it needs."""
    start = [a - halo for a in roi.start]
    image = patches.extract(SCAN, start, [n + 2 * halo for n in roi.shape], fill=0.0)
    run = jax.jit(lambda p, s, x: resdsn.pool3(CFG, p, s, x))
    rim = halo // CELL
    return np.asarray(run(*weights, image[None, ..., None]))[0, rim:-rim, rim:-rim, rim:-rim]


def test_pool3_is_the_pooled_output_of_conv3b(weights):
    image = jax.random.normal(jax.random.key(1), (1, 16, 24, 16, 1))
    ours = resdsn.pool3(CFG, *weights, image)
    assert ours.shape == (1, 2, 3, 2, 4 * CFG.width)
    variables = {"params": weights[0], **weights[1]}
    _, seen = resdsn.ResDSN(CFG).apply(variables, image, train=False, capture_intermediates=True)
    (conv3b,) = seen["intermediates"]["conv3b"]["__call__"]
    np.testing.assert_array_equal(ours, max_pool(conv3b, window=2))


@pytest.mark.parametrize(
    "roi",
    [
        Box((8, 8, 16), (24, 32, 40)),
        Box((0, 0, 0), (72, 40, 96)),  # several tiles, and beyond the scan
    ],
)
def test_features_of_tiles_are_those_of_one_pass(weights, extract, roi):
    ours = extract(roi)
    assert ours.shape[:3] == tuple(n // CELL for n in roi.shape)
    assert_close(ours, in_one_pass(weights, roi, halo=24))


def test_a_feature_does_not_depend_on_the_region(extract):
    whole = extract(Box((0, 0, 0), (72, 40, 96)))
    part = extract(Box((40, 16, 24), (72, 40, 88)))
    assert_close(part, whole[5:9, 2:5, 3:11])


def test_the_halo_is_as_wide_as_a_feature_sees_and_no_cell_wider(weights, extract):
    roi = Box((16, 16, 16), (24, 24, 24))
    narrow = in_one_pass(weights, roi, halo=HALO - CELL)
    exact = extract(roi)
    assert np.abs(narrow - exact).max() > 100 * ROUNDING * np.abs(exact).max()
    assert_close(in_one_pass(weights, roi, halo=HALO), exact)


def test_a_region_is_of_whole_cells_around_the_pancreas():
    pancreas = Box((12, 30, 0), (61, 40, 64))
    assert region(pancreas, 0, (70, 42, 64)) == Box((8, 24, 0), (64, 40, 64))
    # As far as the scan reaches: 30 + 10 + 8 would be 48, the scan ends at 42, its cell at 48.
    assert region(pancreas, 8, (70, 42, 64)) == Box((0, 16, 0), (72, 48, 64))
    assert TILE % CELL == HALO % CELL == 0
