"""The package `convexadam`, and ours on the same volumes."""

from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from core.phantom.ct.phantom import make
from lnmet.registration import convexadam
from lnmet.registration.config import ConvexAdamConfig
from lnmet.registration.convex import cost_volume, coupled_convex, make_consistent
from lnmet.registration.mind import mind_ssc

pytestmark = [
    pytest.mark.parity,
    # What it takes by default is what it means.
    pytest.mark.filterwarnings("ignore:Default grid_sample and affine_grid"),
]
torch = pytest.importorskip("torch")
pytest.importorskip("convexAdam", reason="convexadam is not installed: make peers")

CFG = ConvexAdamConfig()


@cache
def volumes() -> tuple[np.ndarray, np.ndarray]:
    """Two phases of a phantom; no axis is divisible by the coarse grid, one not by the fine one.

    They lie more than a node of the search apart, so that no displacement is 0. At 0 a voxel of the
    moving image is hit exactly, where the loss has a kink and rounding chooses the side.
    """
    phantom = make(3, shape=(44, 52, 63), spacing_mm=(4.0, 4.0, 4.0), tumor_diameter_mm=24.0)
    fixed, moving = (phantom.images[p].array.astype(np.float32) for p in ("venous", "arterial"))
    return fixed, ndimage.shift(moving, (7.5, -6.5, 8.0), order=1, mode="nearest")


@cache
def published(iterations: int, noise: float = 0.0) -> np.ndarray:
    """Field of the package, for volumes with relative noise."""
    from convexAdam.convex_adam_MIND import convex_adam_pt

    rng = np.random.default_rng(0)
    fixed, moving = (
        (v * (1 + noise * rng.standard_normal(v.shape))).astype(np.float32) for v in volumes()
    )
    field = convex_adam_pt(fixed, moving, selected_niter=iterations, device=torch.device("cpu"))
    return np.moveaxis(field, -1, 0)


def features(image: np.ndarray):
    from convexAdam.convex_adam_utils import MINDSSC

    return MINDSSC(torch.from_numpy(image)[None, None], 1, 2, device="cpu")


def ours(tensor) -> jnp.ndarray:
    """(1, c, d, h, w) as (d, h, w, c)."""
    return jnp.asarray(np.moveaxis(tensor[0].numpy(), 0, -1))


@cache
def published_costs():
    """Costs, their cheapest displacements, and the features that they come from."""
    from convexAdam.convex_adam_utils import correlate

    pooled = [torch.nn.functional.avg_pool3d(features(v), 6, stride=6) for v in volumes()]
    return *correlate(*pooled, CFG.search_radius, 6, volumes()[0].shape, 12), pooled


def test_descriptors_are_the_published_ones():
    image = volumes()[0]
    # exp of float32 quotients.
    np.testing.assert_allclose(
        mind_ssc(jnp.asarray(image), radius=1, dilation=2), ours(features(image)), atol=5e-6
    )


def test_costs_are_the_published_ones():
    costs, cheapest, pooled = published_costs()
    found = np.asarray(cost_volume(*(ours(p) for p in pooled), CFG.search_radius))
    # float32 sums of 12 squares and means of 27, up to 12.
    np.testing.assert_allclose(found, costs, atol=1e-5)
    # All but ties within rounding.
    assert (found.argmin(axis=0) == cheapest.numpy()).mean() > 0.99


def test_the_coupled_search_is_the_published_one_from_the_same_costs():
    from convexAdam.convex_adam_utils import coupled_convex as theirs

    costs, cheapest, _ = published_costs()
    r, num = CFG.search_radius, 2 * CFG.search_radius + 1
    mesh = torch.nn.functional.affine_grid(
        r * torch.eye(3, 4)[None], (1, 1, num, num, num), align_corners=True
    )
    mesh = mesh.permute(0, 4, 1, 2, 3).reshape(3, -1, 1)
    expected = theirs(costs, cheapest, mesh, 6, volumes()[0].shape)[0].numpy()
    found = np.asarray(coupled_convex(jnp.asarray(costs.numpy()), r, CFG.couplings))
    # Sums of 27 whole numbers; a choice between two equals to rounding may fall either way.
    assert (np.abs(found - expected) < 1e-5).mean() > 0.99


def test_inverse_consistency_is_the_published_one():
    from convexAdam.convex_adam_utils import inverse_consistency

    rng = np.random.default_rng(0)
    fields = [ndimage.gaussian_filter(rng.normal(0, 4, (3, 7, 8, 10)), (0, 2, 2, 2)) for _ in "uv"]
    scale = (np.array([7, 8, 10]).reshape(3, 1, 1, 1) - 1) / 2
    normed = [torch.from_numpy((f / scale)[None, ::-1].astype(np.float32)) for f in fields]
    expected = inverse_consistency(*normed, iter=15)
    found = make_consistent(*(jnp.asarray(f, jnp.float32) for f in fields), 15)
    for u, v in zip(found, expected, strict=True):
        # Fifteen float32 interpolations.
        np.testing.assert_allclose(u, v[0].numpy()[::-1] * scale, atol=1e-5)


def test_the_field_of_the_search_is_the_published_one():
    # One iteration: Adam's first step is not yet in the field.
    found = convexadam.register(*volumes(), ConvexAdamConfig(iterations=1))
    # Voxels, after some 100 float32 sums and means.
    np.testing.assert_allclose(found, published(1), atol=1e-4)


def test_the_field_after_a_step_of_adam_is_the_published_one():
    found = convexadam.register(*volumes(), ConvexAdamConfig(iterations=2))
    # Steps are up to 2 voxels long however small the gradient, so its rounding shows.
    np.testing.assert_allclose(found, published(2), atol=5e-3)


def test_the_whole_field_is_the_published_one_as_far_as_that_is_determined():
    """Adam's steps do not shrink with the gradient: rounding grows over 80 of them.

    The package itself gives other fields for volumes that differ by a millionth, some 0.001 HU;
    ours may differ from its field by about as much.
    """
    expected = published(80)
    undetermined = np.abs(published(80, noise=1e-6) - expected)
    difference = np.abs(convexadam.register(*volumes(), CFG) - expected)
    assert difference.mean() < 3 * undetermined.mean()
    assert difference.mean() < 0.1  # voxels; those of a node are 2
    assert np.quantile(difference, 0.99) < 1.0
