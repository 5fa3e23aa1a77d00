"""The networks: their sizes, what attention does to them, and how they see intensities."""

from functools import partial
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.preprocess.fingerprint import Intensities, normalize_ct
from lnmet import model
from lnmet.config import RECIPES, ModelConfig
from lnmet.labels import CLASSES

SMALL = ModelConfig(features=(2, 3, 4), strides=((1, 1, 1), (2, 2, 2), (1, 2, 2)))
CHANNELS = (Intensities(-50.0, 200.0, 60.0, 40.0), Intensities(-80.0, 150.0, 40.0, 30.0))


def small(cfg: ModelConfig, num_classes: int = 2):
    make = partial(model.init, cfg, num_classes=num_classes, intensities=CHANNELS)
    return make(jax.random.key(0), (1, 4, 8, 8, 2))


def count(params) -> int:
    return sum(prod(leaf.shape) for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("cfg", "num_channels", "num_classes", "expected"),
    [
        # nnU-Net 1.7's network for the paper's patch, and its variants.
        (ModelConfig(attention=False, head="conv"), 2, 2, 30_786_048),
        (ModelConfig(attention=True, head="conv"), 2, 2, 30_786_058),
        (ModelConfig(attention=True, head="block"), 2, 2, 35_903_338),
        (ModelConfig(attention=False, head="conv"), 2, 20, 30_800_448),
        (ModelConfig(attention=False, head="conv"), 1, 2, 30_785_184),
    ],
)
def test_parameters_are_as_many_as_those_of_nnunet(cfg, num_channels, num_classes, expected):
    make = partial(model.init, cfg, num_classes=num_classes, intensities=CHANNELS[:num_channels])
    shape = (1, 16, 32, 32, num_channels)
    variables = jax.eval_shape(lambda: make(jax.random.key(0), shape))
    assert count(variables["params"]) == expected


def test_heads_with_a_unit_add_its_parameters_at_every_resolution():
    conv, unit = (ModelConfig(attention=True, head=head) for head in ("conv", "unit"))
    make = partial(model.init, num_classes=2, intensities=CHANNELS)
    shapes = [
        jax.eval_shape(lambda c=c: make(c, jax.random.key(0), (1, 16, 32, 32, 2)))["params"]
        for c in (conv, unit)
    ]
    # A 1³ convolution with bias, and scale and shift of a norm.
    added = sum(f * f + f + 2 * f for f in conv.features[:-1])
    assert count(shapes[1]) - count(shapes[0]) == added


def test_intensities_are_normalized_as_on_the_host():
    hu = np.random.default_rng(0).integers(-300, 400, (3, 4, 5, 2)).astype(np.int16)
    variables = small(SMALL)
    state = {model.INTENSITIES: variables[model.INTENSITIES]}
    normalized = model.normalize(state, jnp.asarray(hu))
    for c, channel in enumerate(CHANNELS):
        # Rounding of one subtraction and one division in float32.
        np.testing.assert_allclose(normalized[..., c], normalize_ct(hu[..., c], channel), rtol=1e-5)


def test_without_attention_a_patch_has_one_answer_everywhere():
    """Gated features are zero there, so that logits are those of the heads' biases alone."""
    params = small(SMALL)["params"]
    image = jax.random.normal(jax.random.key(1), (2, 4, 8, 8, 2))
    outputs = model.apply(SMALL, params, image, jnp.zeros((2, 4, 8, 8)), num_classes=2, deep=True)
    assert [o.shape[1:4] for o in outputs] == [(4, 8, 8), (2, 4, 4)]
    for logits in outputs:
        np.testing.assert_array_equal(logits, np.broadcast_to(logits[:1, :1, :1, :1], logits.shape))


def test_full_attention_through_plain_heads_changes_nothing():
    with_, without = (ModelConfig(SMALL.features, SMALL.strides, a, "conv") for a in (True, False))
    params = small(with_)["params"]
    image = jax.random.normal(jax.random.key(1), (1, 4, 8, 8, 2))
    gated = model.apply(with_, params, image, jnp.ones((1, 4, 8, 8)), num_classes=2)[0]
    bare = {
        **params,
        "heads": {k: {"kernel": v["kernel"]} for k, v in params["heads"].items()},
    }
    # Biases start at zero.
    np.testing.assert_array_equal(gated, model.apply(without, bare, image, num_classes=2)[0])


@pytest.mark.parametrize("attention", [True, False])
def test_attention_where_it_does_not_belong_is_refused(attention):
    cfg = ModelConfig(SMALL.features, SMALL.strides, attention, "conv")
    gate = None if attention else jnp.ones((1, 4, 8, 8))
    with pytest.raises(ValueError, match="attention"):
        model.apply(cfg, small(cfg)["params"], jnp.ones((1, 4, 8, 8, 2)), gate, num_classes=2)


def test_recipes_state_the_numbers_of_the_paper():
    nodes, baseline = RECIPES["nodes"], RECIPES["nodes-no-attention"]
    for cfg in (nodes, baseline, RECIPES["organs"], RECIPES["pdac"]):
        assert cfg.prepare.spacing_mm == (0.80, 0.68, 0.68)  # Sec. IV-A
        assert cfg.data.patch == (80, 192, 160)
        assert cfg.data.batch == 2
        assert cfg.run.steps == 1000 * 250
        optim = cfg.optim  # nnU-Net's
        assert (optim.learning_rate, optim.momentum, optim.power) == (0.01, 0.99, 0.9)
        assert (optim.weight_decay, optim.clip_norm) == (3e-5, 12.0)
    assert (nodes.loss.false_positives, nodes.loss.false_negatives) == (0.5, 1.5)  # Eq. 3
    assert (nodes.model.attention, nodes.data.informative) == (True, True)
    assert (baseline.loss.false_positives, baseline.loss.false_negatives) == (1.0, 1.0)
    assert (baseline.model.attention, baseline.data.informative) == (False, False)
    assert RECIPES["pdac"].data.phases == ("venous",)  # Sec. IV-B
    assert len(CLASSES["organs"]) == 11
