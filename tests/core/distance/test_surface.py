import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from core.distance.surface import average_distance, hausdorff, surface, surface_maps
from core.metrics import surface as host

SPACING = (2.0, 0.7, 0.9)


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(seed).normal(size=(2, 12, 20, 24))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2, 2))
    return smooth[0] > 0.05, smooth[1] > 0.08


@pytest.mark.parametrize("seed", range(4))
def test_surface_and_distances_are_those_of_the_metrics(seed):
    pred, true = pair(seed)
    np.testing.assert_array_equal(surface(jnp.asarray(pred)), host.contour(pred))
    maps = surface_maps(jnp.asarray(pred), jnp.asarray(true), SPACING)
    expected = host.surface_distances(pred, true, spacing=SPACING)
    for found, wanted in zip(maps, expected, strict=True):
        # float32 squares against scipy's float64.
        np.testing.assert_allclose(np.asarray(found)[~np.isnan(found)], wanted, rtol=5e-7)
    assert average_distance(maps) == pytest.approx(host.average_distance(expected), rel=1e-6)
    assert hausdorff(maps) == pytest.approx(host.hausdorff(expected), rel=1e-6)


@pytest.mark.parametrize(("num", "value"), [(0, np.nan), (1, np.inf)])
def test_empty_masks_have_the_distances_of_the_metrics(num, value):
    pred, true = np.zeros((2, 4, 5, 6), bool)
    pred[1:3, 1:3, 1:3] = num
    for masks in ((pred, true), (true, pred)):
        maps = surface_maps(*map(jnp.asarray, masks), SPACING)
        np.testing.assert_equal(
            [float(average_distance(maps)), float(hausdorff(maps))], [value] * 2
        )


def test_volumes_may_be_mapped_over():
    preds, trues = (np.stack(masks) for masks in zip(pair(0), pair(1), strict=True))
    both = jax.jit(jax.vmap(lambda p, t: hausdorff(surface_maps(p, t, SPACING))))
    expected = [
        host.hausdorff(host.surface_distances(p, t, spacing=SPACING))
        for p, t in zip(preds, trues, strict=True)
    ]
    np.testing.assert_allclose(both(preds, trues), expected, rtol=1e-6)
