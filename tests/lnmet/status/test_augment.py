"""What the network sees: formulas of the window and the channels; masks move with their images."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.augment.intensity import WHITE
from lnmet.status.augment import IMAGENET, KINETICS, gray, normalize
from lnmet.status.augment import augment as augment_with
from lnmet.status.config import AugmentConfig, DataConfig

KEY = jax.random.key(0)
STILL = AugmentConfig(degrees=0.0, scales=(1.0, 1.0), mirror_probability=0.0, intensity=0.0)
SHAPES = [(3, 17, 20), (2, 6, 17, 20)]
DATA = DataConfig()


@partial(jax.jit, static_argnums=0)
def augment(cfg: AugmentConfig, key: jax.Array, phases: jax.Array, mask: jax.Array):
    return augment_with(cfg, key, phases, mask)


def example(shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Gray of two phases, and a mask."""
    rng = np.random.default_rng(1)
    mask = np.zeros(shape, np.uint8)
    mask[..., 5:12, 6:15] = 1
    return jnp.asarray(rng.uniform(0, WHITE, (*shape, 2)), jnp.float32), jnp.asarray(mask)


def test_the_window_is_gray_from_0_to_255():
    hu = jnp.array([-1000, -100, 70, 240, 3000], jnp.int16).reshape(1, 1, 5, 1)
    np.testing.assert_allclose(gray(hu, DATA).ravel(), [0, 0, WHITE / 2, WHITE, WHITE], rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", ["mask", "mean", "venous"])
def test_channels_are_normalized_as_the_pretrained_weights_are_used_to(shape, channels):
    phases, mask = example(shape)
    phases = phases[..., 1:] if channels == "venous" else phases
    names = ("venous",) if channels == "venous" else ("arterial", "venous")
    seen = normalize(phases, mask, DataConfig(phases=names, channels=channels))
    a, v = phases[..., 0] / 255, phases[..., -1] / 255
    third = {"mask": mask, "mean": (a + v) / 2, "venous": v}[channels]
    mean, deviation = KINETICS if len(shape) == 4 else IMAGENET
    for c, x in enumerate((a, v, third)):
        np.testing.assert_allclose(seen[..., c], (x - mean[c]) / deviation[c], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_drawn_nothing_changed(shape):
    phases, mask = example(shape)
    same, same_mask = augment(STILL, KEY, phases, mask)
    # Half-integer centers are exact; the interpolation weighs by 1 and 0.
    np.testing.assert_allclose(same, phases, atol=1e-3)
    np.testing.assert_array_equal(same_mask, mask)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_axes_are_mirrored_together_with_the_mask(shape):
    phases, mask = example(shape)
    turned, turned_mask = augment(replace(STILL, mirror_probability=1.0), KEY, phases, mask)
    axes = tuple(range(1, len(shape)))
    np.testing.assert_allclose(turned, np.flip(phases, axes), atol=1e-3)
    np.testing.assert_array_equal(turned_mask, np.flip(mask, axes))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_mask_moves_with_the_image_and_every_example_in_its_own_way(shape):
    _, mask = example(shape)
    twin = jnp.repeat(mask[..., None].astype(jnp.float32), 2, -1) * WHITE
    cfg = AugmentConfig(intensity=0.0, degrees=40.0, scales=(0.7, 1.3))
    moved, moved_mask = augment(cfg, KEY, twin, mask)
    np.testing.assert_array_equal(moved[..., 0] > WHITE / 2, moved_mask == 1)
    assert (moved_mask != mask).any(axis=tuple(range(1, len(shape)))).all()
    assert (moved_mask[0] != moved_mask[1]).any()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1.25])
def test_a_scale_above_1_enlarges(shape, scale):
    # Large enough that one voxel more or less of each side does not matter.
    shape = (1, *(4 * n for n in shape[1:]))
    mask = np.zeros(shape, np.uint8)
    mask[(0, *(slice(n // 4, -n // 4) for n in shape[1:]))] = 1
    twin = jnp.asarray(np.stack([mask * WHITE] * 2, -1), jnp.float32)
    _, moved = augment(replace(STILL, scales=(scale, scale)), KEY, twin, jnp.asarray(mask))
    # Each side is off by a voxel at most.
    sides = [n // 2 for n in shape[1:]]
    bounds = [np.prod([scale * n + d for n in sides]) for d in (-2, 2)]
    assert bounds[0] <= moved.sum() <= bounds[1]


def test_a_box_is_turned_in_its_axial_plane():
    levels = jnp.arange(6, dtype=jnp.float32)[None, :, None, None, None] * 40
    phases = jnp.broadcast_to(levels, (1, 6, 40, 40, 2))
    turned, _ = augment(replace(STILL, degrees=30.0), KEY, phases, jnp.ones((1, 6, 40, 40), int))
    inner = (slice(None), slice(None), slice(10, 30), slice(10, 30))
    np.testing.assert_allclose(turned[inner], phases[inner], atol=1e-2)


@pytest.mark.parametrize("shape", SHAPES)
def test_intensities_stay_in_their_range_and_change_by_no_more_than_asked(shape):
    phases, mask = example(shape)
    changed, _ = augment(replace(STILL, intensity=0.1), KEY, phases, mask)
    assert changed.min() >= 0
    assert changed.max() <= WHITE
    # A factor of 0.9 to 1.1, then a shift of a tenth of white.
    assert np.abs(changed - phases).max() <= 0.2 * WHITE + 1e-3
    assert (np.abs(changed - phases).max(axis=tuple(range(1, changed.ndim))) > 1).all()
