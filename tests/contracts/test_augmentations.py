"""What every augmentation of one sample owes the training step."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.augment.intensity import brightness, contrast
from core.augment.jitter import jitter
from core.augment.spatial import cube_symmetry
from core.augment.warp import warp

RNG = np.random.default_rng(0)
PAPER_WARP = partial(
    warp,
    degrees=(-5.0, -2.5, 0.0, 2.5, 5.0),
    scales=(0.9, 1.0, 1.1),
    flip=True,
    reach_px=2.048,
    sigma_px=20.48,
    fill=0.0,
)


def changed(key, image, label):
    """FEE-DL's four operations on an image of one channel."""
    often = {"largest": 0.8, "probability": 0.5}
    image = contrast(key, brightness(key, image[..., 0], **often), **often)
    lengths = {"corners_px": 1.0, "reach_px": 0.1, "sigma_px": 2.0, "crop_px": 8}
    image, label = jitter(key, image, label, **lengths, probability=0.5)
    return image[..., None], label


# Each with a batch of images and of labels that it takes.
AUGMENTATIONS = {
    "cube_symmetry": (cube_symmetry, (8, 8, 8), 3),
    "axial_symmetry": (partial(cube_symmetry, axial=True), (8, 8, 8), 3),
    "warp_simard": (partial(PAPER_WARP, elastic="simard"), (12, 9), 2),
    "warp_literal": (partial(PAPER_WARP, elastic="literal"), (12, 9), 2),
    "warp_affine": (partial(PAPER_WARP, elastic="none"), (12, 9), 2),
    "intensity_and_jitter": (changed, (15, 12), 3),
}
KEYS = jax.random.split(jax.random.key(3), 4)


@pytest.fixture(params=AUGMENTATIONS.values(), ids=AUGMENTATIONS.keys(), scope="module")
def case(request):
    """An augmentation, four images and four labels."""
    augment, shape, num_ids = request.param
    image = RNG.normal(size=(4, *shape, 1)).astype(np.float32)
    label = RNG.integers(0, num_ids, (4, *shape)).astype(np.uint8)
    return augment, jnp.asarray(image), jnp.asarray(label)


def test_shape_and_dtype_stay(case):
    augment, images, labels = case
    image, label = augment(KEYS[0], images[0], labels[0])
    assert (image.shape, image.dtype) == (images[0].shape, images.dtype)
    assert (label.shape, label.dtype) == (labels[0].shape, labels.dtype)


def test_no_id_is_made_up(case):
    augment, images, labels = case
    _, moved = jax.jit(jax.vmap(augment))(KEYS, images, labels)
    assert set(np.unique(moved)) <= set(np.unique(labels))


def test_the_same_key_gives_the_same_sample_and_another_key_another(case):
    augment, images, labels = case
    same, again = (augment(KEYS[0], images[0], labels[0]) for _ in range(2))
    for first, second in zip(same, again, strict=True):
        np.testing.assert_array_equal(first, second)
    others = [augment(key, images[0], labels[0])[0] for key in KEYS[1:]]
    assert any((np.asarray(other) != same[0]).any() for other in others)


def test_jit_equals_eager_and_a_batch_equals_its_samples(case):
    augment, images, labels = case
    together = jax.jit(jax.vmap(augment))(KEYS, images, labels)
    for i in range(4):
        image, label = augment(KEYS[i], images[i], labels[i])
        # Whole pixels are equal; the weights of an interpolation may be fused and round otherwise.
        np.testing.assert_allclose(together[0][i], image, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(together[1][i], label)


def test_one_compilation_serves_every_key(case):
    augment, images, labels = case
    traces = []

    @jax.jit
    def counted(keys, images, labels):
        traces.append(1)
        return jax.vmap(augment)(keys, images, labels)

    for seed in range(5):
        counted(jax.random.split(jax.random.key(seed), 4), images, labels)
    assert len(traces) == 1


def test_constant_images_stay_finite(case):
    augment, images, labels = case
    image, _ = augment(KEYS[0], jnp.zeros_like(images[0]), labels[0])
    assert np.isfinite(image).all()


def test_moving_whole_voxels_keeps_the_histogram():
    image = jnp.asarray(RNG.normal(size=(8, 8, 8, 1)), jnp.float32)
    label = jnp.asarray(RNG.integers(0, 3, (8, 8, 8)), jnp.uint8)
    moved, ids = cube_symmetry(KEYS[1], image, label)
    np.testing.assert_array_equal(np.sort(moved, axis=None), np.sort(image, axis=None))
    np.testing.assert_array_equal(np.bincount(ids.ravel()), np.bincount(label.ravel()))
