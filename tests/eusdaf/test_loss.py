"""The loss of the paper, written out by hand for small networks."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.random import stream
from eusdaf import model
from eusdaf.config import AugmentConfig, Config, ModelConfig
from eusdaf.loss import IMAGENET_MEAN, IMAGENET_SD, augment, loss, normalize

STILL = AugmentConfig(degrees=(0.0,), scales=(1.0,), flip=False, elastic="none")
SMALL = {"width": 2, "blocks": (1, 1, 1, 1), "groups": 2, "group_width": 64, "features": 4}
SIZE = 32


def _config(network="daf", augment=STILL):
    return Config(model=ModelConfig(network=network, **SMALL), augment=augment)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    mask = np.zeros((2, SIZE, SIZE), np.uint8)
    mask[0, 8:20, 4:24] = 1  # the second picture has no lesion
    return {"image": rng.integers(0, 256, (2, SIZE, SIZE), np.uint8), "mask": mask}


@pytest.fixture(params=["daf", "unet"], scope="module")
def case(request):
    cfg = _config(request.param)
    shapes = jax.eval_shape(
        lambda key: model.init(cfg.model, key, (2, SIZE, SIZE, 3)), jax.random.key(0)
    )
    rng = np.random.default_rng(1)  # drawing them on the device compiles for seconds
    variables = jax.tree.map(
        lambda a: np.abs(0.2 * rng.standard_normal(a.shape)).astype(a.dtype), shapes
    )
    return cfg, variables["params"], {"batch_stats": variables["batch_stats"]}


def _dice(logits, mask):
    p = 1 / (1 + np.exp(-np.asarray(logits, np.float64)[..., 0]))
    both, sizes = (p * mask).sum((1, 2)), p.sum((1, 2)) + mask.sum((1, 2))
    return (1 - (2 * both + 1) / (sizes + 1)).mean()


def test_is_the_sum_over_maps_of_the_mean_dice_loss_of_pictures(case, batch):
    cfg, params, state = case

    @jax.jit
    def run(params, state, batch, key):
        normalized = normalize(batch["image"])
        outputs, after = model.apply(cfg.model, params, state, normalized, train=True)
        return loss(cfg, params, state, batch, key), outputs, after

    (total, (new_state, metrics)), outputs, after = run(params, state, batch, jax.random.key(1))
    assert len(outputs.side_logits) == (8 if cfg.model.network == "daf" else 1)
    expected = sum(_dice(logits, batch["mask"]) for logits in outputs.side_logits)
    assert float(total) == pytest.approx(expected, rel=1e-5)  # float32 against float64
    assert float(metrics["loss"]) == float(total)
    assert float(metrics["dice_loss"]) == pytest.approx(
        _dice(outputs.logits, batch["mask"]), rel=1e-5
    )
    for ours, theirs in zip(jax.tree.leaves(new_state), jax.tree.leaves(after), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_normalization_is_that_of_imagenet():
    image = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    expected = (image[..., None] / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_SD)
    np.testing.assert_allclose(normalize(jnp.asarray(image)), expected, atol=1e-5)  # float32
    assert normalize(jnp.asarray(image)).shape == (1, 16, 16, 3)


def test_without_augmentation_pictures_stay_as_they_are(batch):
    image, mask = jax.jit(lambda k, i, m: augment(_config(), k, i, m))(
        jax.random.key(0), batch["image"], batch["mask"]
    )
    np.testing.assert_array_equal(image, batch["image"])
    np.testing.assert_array_equal(mask, batch["mask"])


def test_the_papers_augmentation_moves_every_picture_in_its_own_way(batch):
    cfg = _config(augment=AugmentConfig())
    same = {name: np.stack([array[0]] * 6) for name, array in batch.items()}
    warped = jax.jit(lambda k, b: augment(cfg, stream(k, "augment"), b["image"], b["mask"]))
    image, mask = warped(jax.random.key(0), same)
    assert len({np.asarray(picture).tobytes() for picture in image}) == 6
    assert set(np.unique(mask)) == {0, 1}
    assert np.isfinite(image).all()
    again, _ = warped(jax.random.key(0), same)
    np.testing.assert_array_equal(image, again)


def test_the_smooth_factor_is_the_recipes(case, batch):
    cfg, params, state = case
    other = replace(cfg, loss=replace(cfg.loss, smooth=1e6))
    total = jax.jit(lambda p, s, b: loss(other, p, s, b, jax.random.key(1))[0])(
        params, state, batch
    )
    # A factor that outweighs all pixels makes every loss nearly 0.
    assert 0 < float(total) < 8 * 2 * SIZE**2 / 1e6
