import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from core.phantom.ct.phantom import make
from core.phantom.deformation import deformed, node_centers
from lnmet.registration import convexadam
from lnmet.registration.config import ConvexAdamConfig
from lnmet.registration.fields import transport
from lnmet.registration.quality import folding_fraction

# Small nodes for small images; everything else is as published.
SMALL = ConvexAdamConfig(grid_spacing=3, search_radius=2, iterations=30)


def texture(shape=(26, 28, 30)) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=shape)
    return (1000 * ndimage.gaussian_filter(noise, 1.5)).astype(np.float32)


def center(field: np.ndarray) -> np.ndarray:
    return field[:, 8:-8, 8:-8, 8:-8]


def test_an_image_lies_on_itself():
    image = texture()
    field = convexadam.register(image, image, SMALL)
    assert field.shape == (3, *image.shape)
    assert field.dtype == np.float32
    # The search finds 0 at every node; 0 is where the loss has its minimum.
    assert np.abs(field).max() < 1e-3


def test_a_translation_is_recovered():
    image = texture()
    # moving(x + u) = fixed(x) with u = (2, −3, 1).
    field = convexadam.register(image, np.roll(image, (2, -3, 1), (0, 1, 2)), SMALL)
    # As published, places are stretched by n / (n − 1) for the n nodes of an axis.
    nodes = np.array(image.shape) // SMALL.fine_grid_spacing
    expected = np.array((2, -3, 1)) * (nodes - 1) / nodes
    # Features are means over 2³ voxels, and what was rolled over the border pulls from afar.
    np.testing.assert_allclose(center(field).mean(axis=(1, 2, 3)), expected, atol=0.15)


def test_integers_register_as_floats_do():
    image = texture().round()
    moving = np.roll(image, 2, 1)
    field = convexadam.register(image, moving, SMALL)
    as_int = convexadam.register(image.astype(np.int16), moving.astype(np.int16), SMALL)
    np.testing.assert_array_equal(as_int, field)


def test_both_ways_are_those_of_either_one():
    fixed, moving = texture(), np.roll(texture(), (1, -2, 2), (0, 1, 2))
    forward, backward = convexadam.register_both(fixed, moving, SMALL)
    # One program is rounded unlike the other, which Adam lets grow.
    for both, one in ((forward, (fixed, moving)), (backward, (moving, fixed))):
        assert np.abs(both - convexadam.register(*one, SMALL)).mean() < 0.02
    np.testing.assert_allclose(center(forward).mean(), -center(backward).mean(), atol=0.05)


def test_unlike_or_tiny_images_are_refused():
    with pytest.raises(ValueError, match=r"equal shapes; got fixed \(12, .*moving \(14"):
        convexadam.register(np.zeros((12, 12, 12)), np.zeros((14, 12, 12)), ConvexAdamConfig())
    with pytest.raises(ValueError, match=r"at least 12 voxels along each axis.*grid_spacing=6"):
        convexadam.register(np.zeros((11, 20, 20)), np.zeros((11, 20, 20)), ConvexAdamConfig())


def test_means_of_blocks_leave_out_what_is_left_over():
    features = jnp.arange(2 * 3 * 5 * 2.0).reshape(2, 3, 5, 2)
    pooled = convexadam.pool(features, 2)
    assert pooled.shape == (1, 1, 2, 2)
    np.testing.assert_array_equal(pooled[0, 0, 0], features[:2, :2, :2].mean((0, 1, 2)))


@pytest.mark.slow  # a whole registration, of a scan and back
def test_after_a_breath_nodes_are_found_again_within_2_mm_and_nothing_folds():
    spacing_mm = 4.0
    phantom = make(3, shape=(48, 72, 84), spacing_mm=(spacing_mm,) * 3, tumor_diameter_mm=20.0)
    case, centers = deformed(phantom, 3, amplitude_mm=15.0), node_centers(phantom)
    field = convexadam.register(
        phantom.images["venous"].array, case.arterial.array, ConvexAdamConfig()
    )
    true, found = (
        np.asarray(transport(jnp.asarray(centers, jnp.float32), jnp.asarray(u))) * spacing_mm
        for u in (case.field, field)
    )
    before_mm = np.linalg.norm(true - centers * spacing_mm, axis=1).mean()
    error_mm = np.linalg.norm(true - found, axis=1).mean()
    assert before_mm > 6
    assert error_mm < before_mm / 3
    assert error_mm < 2
    assert folding_fraction(jnp.asarray(field)) < 0.001
