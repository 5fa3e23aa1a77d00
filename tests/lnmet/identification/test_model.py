"""The network of stage 2: its size, its backbone, and that it looks at one node."""

from functools import partial
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lnmet import config as segmentation
from lnmet import model
from lnmet.identification.config import RECIPES, ModelConfig
from lnmet.model import identification
from lnmet.model.identification import mean_inside
from tests.lnmet.test_model import CHANNELS

SMALL = ModelConfig(features=(2, 3, 4), strides=((1, 1, 1), (2, 2, 2), (1, 2, 2)))
SHAPE = (1, 4, 8, 8, 2)


def variables(cfg: ModelConfig, backbone=None):
    make = partial(identification.init, cfg, intensities=CHANNELS, backbone=backbone)
    return make(jax.random.key(0), SHAPE)


def count(params) -> int:
    return sum(prod(leaf.shape) for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        # The U-Net of 30,786,048 without its heads of 1,600, and a linear layer from 320 + 32.
        ("instance", 30_786_048 - 1_600 + 352 * 2 + 2),
        ("bottleneck", 14_026_626),
    ],
)
def test_parameters_are_those_of_the_backbone_and_a_linear_layer(head, expected):
    make = partial(identification.init, ModelConfig(head=head), intensities=CHANNELS)
    params = jax.eval_shape(lambda: make(jax.random.key(0), (1, 16, 32, 32, 2)))["params"]
    assert count(params) == expected


@pytest.mark.parametrize("head", ["instance", "bottleneck"])
def test_the_backbone_is_that_of_a_segmentation(head):
    cfg = segmentation.ModelConfig(SMALL.features, SMALL.strides)
    make = partial(model.init, cfg, num_classes=2, intensities=CHANNELS)
    trained = make(jax.random.key(1), SHAPE)["params"]["unet"]
    params = variables(ModelConfig(SMALL.features, SMALL.strides, head), trained)["params"]
    assert set(params["unet"]) <= set(trained)
    for name, layer in params["unet"].items():
        jax.tree.map(np.testing.assert_array_equal, layer, trained[name])


def test_an_encoder_alone_has_no_decoder():
    params = variables(ModelConfig(SMALL.features, SMALL.strides, "bottleneck"))["params"]
    assert list(params["unet"]) == ["down0", "down1", "down2"]


def test_features_outside_of_the_node_are_not_in_its_mean():
    features = jax.random.normal(jax.random.key(0), (1, 4, 8, 8, 3))
    node, other = np.zeros((2, 1, 4, 8, 8), bool)
    node[0, 1:3, 2:4, 2:4], other[0, 0, 6:, 6:] = True, True
    changed = jnp.where(other[..., None], 100.0, features)
    before, after = (
        mean_inside(features, jnp.asarray(node)),
        mean_inside(changed, jnp.asarray(node)),
    )
    np.testing.assert_array_equal(before, after)
    # A mean of eight numbers in float32.
    np.testing.assert_allclose(before, np.asarray(features)[node].mean(0)[None], rtol=1e-5)


def test_two_nodes_of_one_crop_have_answers_of_their_own():
    params = variables(SMALL)["params"]
    image = jnp.tile(jax.random.normal(jax.random.key(1), SHAPE), (2, 1, 1, 1, 1))
    instances = np.zeros((2, *SHAPE[1:-1]), bool)
    instances[0, 1, 2, 2] = instances[1, 2, 6, 6] = True
    first, second = identification.apply(SMALL, params, image, jnp.asarray(instances))
    assert (first != second).all()


def test_the_bottleneck_sees_no_node():
    cfg = ModelConfig(SMALL.features, SMALL.strides, "bottleneck")
    params, image = variables(cfg)["params"], jax.random.normal(jax.random.key(1), SHAPE)
    masks = jnp.zeros(SHAPE[:-1], bool), jnp.ones(SHAPE[:-1], bool)
    without, with_ = (identification.apply(cfg, params, image, mask) for mask in masks)
    np.testing.assert_array_equal(without, with_)


def test_without_a_voxel_the_features_of_a_node_are_zero():
    mean = mean_inside(jnp.ones((1, 2, 2, 2, 3)), jnp.zeros((1, 2, 2, 2), bool))
    np.testing.assert_array_equal(mean, np.zeros((1, 3)))


def test_the_recipe_states_the_numbers_of_the_paper():
    cfg = RECIPES["identification"]
    assert cfg.data.patch == (80, 96, 96)  # Sec. IV-A
    optim = cfg.optim
    assert (optim.algorithm, optim.momentum) == ("sgd", 0.95)
    assert (optim.learning_rate, optim.weight_decay) == (5e-4, 1e-4)
    nodes = segmentation.RECIPES["nodes"]
    assert (cfg.model.features, cfg.model.strides) == (nodes.model.features, nodes.model.strides)
