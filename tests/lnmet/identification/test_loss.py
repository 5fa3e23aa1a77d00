"""Cross-entropy of nodes, whose masks move with their images."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from core.augment.config import VolumeAugmentConfig
from lnmet.identification.config import RECIPES, DataConfig, ModelConfig
from lnmet.identification.loss import loss
from lnmet.model import identification, normalize
from tests.lnmet.test_model import CHANNELS

CFG = replace(
    RECIPES["tiny-identification"],
    data=DataConfig(patch=(4, 8, 8), batch=2),
    augment=VolumeAugmentConfig(scheme="none"),
    model=ModelConfig(features=(2, 2), strides=((1, 1, 1), (2, 2, 2))),
)


def example():
    variables = identification.init(
        CFG.model, jax.random.key(0), (1, 4, 8, 8, 2), intensities=CHANNELS
    )
    params = variables["params"]
    state = {name: value for name, value in variables.items() if name != "params"}
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(-100, 200, (2, 4, 8, 8, 2)).astype(np.int16),
        "instance": np.zeros((2, 4, 8, 8), np.uint8),
        "metastatic": np.array([0, 1], np.uint8),
    }
    batch["instance"][:, 1:3, 3:5, 3:5] = 1
    return params, state, {name: jnp.asarray(array) for name, array in batch.items()}


def test_the_loss_is_the_mean_of_minus_log_p():
    params, state, batch = example()
    value, (_, metrics) = loss(CFG, params, state, batch, jax.random.key(1))
    image = normalize(state, batch["image"])
    logits = identification.apply(CFG.model, params, image, batch["instance"] > 0)
    p = np.asarray(jax.nn.softmax(logits))
    np.testing.assert_allclose(value, -np.log([p[0, 0], p[1, 1]]).mean(), rtol=1e-5)
    assert metrics["accuracy"] == np.mean([p[0, 0] >= 0.5, p[1, 1] > 0.5])


def test_a_mirrored_node_is_asked_with_its_mirrored_mask(monkeypatch):
    params, state, batch = example()
    asked = []

    def apply(cfg, params, image, instance):
        asked.append((image, instance))
        return jnp.zeros((2, 2))

    monkeypatch.setattr(identification, "apply", apply)
    mirrored = VolumeAugmentConfig(
        rotation_probability=0.0,
        scaling_probability=0.0,
        noise_probability=0.0,
        blur_probability=0.0,
        brightness_probability=0.0,
        contrast_probability=0.0,
        low_resolution_probability=0.0,
        inverted_gamma_probability=0.0,
        gamma_probability=0.0,
        mirror_probability=1.0,
        degrees=0.0,
        loading_scales=(1.0, 1.0),
    )
    batch["instance"] = jnp.zeros((2, 4, 8, 8), jnp.uint8).at[:, 0, 1, 2].set(1)
    loss(replace(CFG, augment=mirrored), params, state, batch, jax.random.key(1))
    ((image, instance),) = asked
    assert bool(instance[:, 3, 6, 5].all())
    assert int(instance.sum()) == 2
    expected = normalize(state, batch["image"])[:, ::-1, ::-1, ::-1]
    # Weights of the interpolation are 0 and 1.
    np.testing.assert_allclose(image, expected, atol=1e-5)
