import dataclasses
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from core.config import documentation
from lnmet.registration.deeds import register, register_both
from lnmet.registration.deeds_config import AffineConfig, DeedsConfig
from tests.test_config_addresses import ADDRESS

SMALL = DeedsConfig(grid=(6, 4), radius=(4, 3), step=(2, 1))
"""Two levels, for displacements up to 11 voxels."""
SHAPE = (28, 32, 36)


@cache
def textured(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Soft tissue with structures of several sizes, in whole HU."""
    noise = np.random.default_rng(seed).normal(size=(3, *shape))
    image = sum(
        ndimage.gaussian_filter(n, s) * s**1.5 for n, s in zip(noise, (1, 2, 4), strict=True)
    )
    return np.round(100 * image / image.std()).astype(np.float32)


@cache
def deformation(shape: tuple[int, ...], largest: float, smooth: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=(3, *shape))
    field = np.stack([ndimage.gaussian_filter(n, smooth) for n in noise])
    return (field * largest / np.abs(field).max()).astype(np.float32)


def warped(image: np.ndarray, field: np.ndarray, order: int = 3) -> np.ndarray:
    places = np.indices(image.shape) + field
    return ndimage.map_coordinates(image, places, order=order, mode="nearest").astype(np.float32)


def lengths(field: np.ndarray, margin: int = 4) -> np.ndarray:
    """Away from the border, what is beyond which neither image shows."""
    return np.linalg.norm(field, axis=0)[(slice(margin, -margin),) * 3]


def folding(field: np.ndarray) -> float:
    slopes = np.stack([np.stack(np.gradient(component), axis=-1) for component in field], axis=-2)
    return float(np.mean(np.linalg.det(slopes + np.eye(3)) <= 0))


@cache
def deformed() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both ways between an image and its deformation, and the truth of the first."""
    truth = deformation(SHAPE, 7.0, 9.0)
    forward, backward = register_both(warped(textured(SHAPE), truth), textured(SHAPE), SMALL)
    return forward, backward, truth


def test_an_image_is_not_moved_onto_itself():
    field = register(textured(SHAPE), textured(SHAPE), SMALL)
    assert field.shape == (3, *SHAPE)
    assert field.dtype == np.float32
    assert not field.any()


def test_a_translation_is_found_with_its_sign_by_axis():
    shift = (3, -2, 4)
    # fixed(x) = moving(x + shift)
    fixed = np.roll(textured(SHAPE), [-s for s in shift], axis=(0, 1, 2))
    field = register(fixed, textured(SHAPE), SMALL)
    assert lengths(field - np.reshape(shift, (3, 1, 1, 1)), margin=8).max() < 0.5


def test_a_deformation_is_found():
    forward, _, truth = deformed()
    assert lengths(truth - forward).mean() < lengths(truth).mean() / 3


def test_both_ways_undo_each_other():
    forward, backward, _ = deformed()
    around = forward + np.stack([warped(component, forward, order=1) for component in backward])
    # They agree on the grid of the last level; between its nodes both are interpolated.
    assert lengths(around).mean() < 0.1
    np.testing.assert_array_equal(
        forward, register(warped(textured(SHAPE), deformed()[2]), textured(SHAPE), SMALL)
    )


def test_fields_do_not_fold():
    forward, backward, _ = deformed()
    assert max(folding(forward), folding(backward)) < 1e-3


def test_enhancement_is_tolerated():
    truth = deformation(SHAPE, 7.0, 9.0)
    fixed = warped(textured(SHAPE), truth)
    # Vessels and organs that take up contrast are brighter, fat and muscle as before.
    enhanced = np.where(fixed > 40, 40 + 2.5 * (fixed - 40), fixed)
    field = register(enhanced.astype(np.float32), textured(SHAPE), SMALL)
    assert lengths(truth - field).mean() < lengths(truth).mean() / 3


def test_voxels_of_any_type_are_taken():
    field = register(textured(SHAPE).astype(np.int16), textured(SHAPE).astype(np.int16), SMALL)
    assert not field.any()


@pytest.mark.slow
def test_the_published_levels_find_a_deformation():
    shape = (56, 72, 64)
    truth = deformation(shape, 10.0, 12.0)
    forward, backward = register_both(warped(textured(shape), truth), textured(shape))
    assert lengths(truth - forward, 8).mean() < lengths(truth, 8).mean() / 3
    assert max(folding(forward), folding(backward)) < 1e-3


@pytest.mark.slow
def test_a_search_may_reach_beyond_a_small_volume():
    # 16 voxels along an axis, of which the first level searches 40 to each side.
    shape = (16, 20, 24)
    assert not register(textured(shape), textured(shape)).any()


def test_less_than_two_blocks_are_refused():
    image = np.zeros((16, 15, 40), np.float32)
    with pytest.raises(ValueError, match=r"at least 16 voxels along each axis.*\(16, 15, 40\)"):
        register(image, image)


def test_images_of_different_shape_are_refused():
    with pytest.raises(ValueError, match=r"fixed \(20, 20, 20\), moving \(20, 20, 21\)"):
        register(np.zeros((20, 20, 20)), np.zeros((20, 20, 21)), SMALL)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"grid": (8, 7)}, "one entry for each level"),
        ({"grid": (), "radius": (), "step": ()}, "one entry for each level"),
        ({"step": (5, 4, 3, 2, 0)}, "must be positive"),
        ({"alpha": 0.0}, "alpha must be positive"),
    ],
)
def test_levels_that_do_not_belong_together_are_refused(choice: dict, message: str):
    with pytest.raises(ValueError, match=message):
        DeedsConfig(**choice)


def test_levels_are_those_of_the_reference():
    levels = DeedsConfig().levels()
    assert [level.labels_per_axis**3 for level in levels] == [4913, 3375, 2197, 1331, 729]
    assert [level.radius * level.step for level in levels] == [40, 28, 18, 10, 4]
    assert [level.descriptor_step for level in levels] == [3, 3, 2, 2, 1]


@pytest.mark.parametrize("cls", [DeedsConfig, AffineConfig])
def test_numbers_have_their_address(cls: type):
    texts = documentation(cls)
    assert all(ADDRESS.search(texts[field.name]) for field in dataclasses.fields(cls))
