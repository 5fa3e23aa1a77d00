"""What every augmentation of one sample owes the training step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.augment.spatial import cube_symmetry

AUGMENTATIONS = [cube_symmetry]
GEOMETRIC = [cube_symmetry]
RNG = np.random.default_rng(0)
IMAGE = jnp.asarray(RNG.normal(size=(4, 8, 8, 8, 1)), jnp.float32)
LABEL = jnp.asarray(RNG.integers(0, 3, (4, 8, 8, 8)), jnp.uint8)
KEYS = jax.random.split(jax.random.key(3), 4)

every = pytest.mark.parametrize("augment", AUGMENTATIONS)


@every
def test_shape_and_dtype_stay(augment):
    image, label = augment(KEYS[0], IMAGE[0], LABEL[0])
    assert (image.shape, image.dtype) == (IMAGE[0].shape, IMAGE.dtype)
    assert (label.shape, label.dtype) == (LABEL[0].shape, LABEL.dtype)


@every
def test_the_same_key_gives_the_same_sample(augment):
    for first, again in zip(
        augment(KEYS[0], IMAGE[0], LABEL[0]), augment(KEYS[0], IMAGE[0], LABEL[0]), strict=True
    ):
        np.testing.assert_array_equal(first, again)


@every
def test_jit_equals_eager_and_a_batch_equals_its_samples(augment):
    together = jax.jit(jax.vmap(augment))(KEYS, IMAGE, LABEL)
    for i in range(4):
        alone = augment(KEYS[i], IMAGE[i], LABEL[i])
        np.testing.assert_array_equal(together[0][i], alone[0])
        np.testing.assert_array_equal(together[1][i], alone[1])


@every
def test_one_compilation_serves_every_key(augment):
    traces = []

    @jax.jit
    def counted(keys, images, labels):
        traces.append(1)
        return jax.vmap(augment)(keys, images, labels)

    for seed in range(5):
        counted(jax.random.split(jax.random.key(seed), 4), IMAGE, LABEL)
    assert len(traces) == 1


@every
def test_constant_images_stay_finite(augment):
    image, _ = augment(KEYS[0], jnp.zeros_like(IMAGE[0]), LABEL[0])
    assert np.isfinite(image).all()


@pytest.mark.parametrize("augment", GEOMETRIC)
def test_moving_voxels_keeps_the_histogram(augment):
    image, label = augment(KEYS[1], IMAGE[0], LABEL[0])
    np.testing.assert_array_equal(np.sort(image, axis=None), np.sort(IMAGE[0], axis=None))
    np.testing.assert_array_equal(np.bincount(label.ravel()), np.bincount(LABEL[0].ravel()))
