"""What the step does to a batch before it judges it."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.datasets.pancreas import IGNORE
from s4c import model
from s4c.loss import loss
from s4c.recipes import RECIPES


@pytest.mark.parametrize("name", ["tiny-64", "tiny-16"])
def test_the_loss_is_the_main_one_plus_each_auxiliary_one_times_its_weight(name):
    tiny = RECIPES[name]
    cfg = replace(
        tiny, data=replace(tiny.data, symmetries="none"), model=replace(tiny.model, width=2)
    )
    variables = model.init(cfg.model, jax.random.key(0), (1, 16, 16, 16, 1))
    rng = np.random.default_rng(0)
    batch = {
        "image": jnp.asarray(rng.standard_normal((1, 16, 16, 16, 1), np.float32)),
        "label": jnp.asarray(rng.integers(0, 3, (1, 16, 16, 16), np.uint8)),
    }
    params, state = variables["params"], {"batch_stats": variables["batch_stats"]}
    total, (_, metrics) = loss(cfg, params, state, batch, jax.random.key(1))
    outputs, _ = model.apply(cfg.model, params, state, batch["image"], train=True)
    label = np.asarray(batch["label"])
    weights = np.array(cfg.loss.class_weights)[label]

    def entropy(logits):
        logp = np.asarray(jax.nn.log_softmax(logits))
        return -np.mean(weights * np.take_along_axis(logp, label[..., None], -1)[..., 0])

    aux = [entropy(logits) for logits in outputs.aux]
    assert len(aux) == len(cfg.loss.aux_weights)
    assert all(a > 0.1 for a in aux)
    expected = entropy(outputs.main) + np.dot(cfg.loss.aux_weights, aux)
    # Means of 4096 float32 entropies in another order.
    assert float(total) == pytest.approx(expected, rel=1e-5)
    assert float(metrics["loss"]) == float(total)
    assert float(metrics["loss_main"]) == pytest.approx(entropy(outputs.main), rel=1e-5)


@pytest.mark.parametrize(
    ("symmetries", "turned"), [("none", False), ("cube", True), ("axial", True)]
)
def test_patches_are_turned_at_random_where_the_recipe_says_so(symmetries, turned):
    tiny = RECIPES["tiny-16"]
    cfg = replace(
        tiny,
        data=replace(tiny.data, symmetries=symmetries),
        model=replace(tiny.model, width=2),
    )
    draw = jax.jit(lambda key: model.init(cfg.model, key, (1, 16, 16, 16, 1)))
    variables = draw(jax.random.key(0))
    rng = np.random.default_rng(0)
    batch = {
        "image": jnp.asarray(rng.standard_normal((1, 16, 16, 16, 1), np.float32)),
        "label": jnp.asarray(rng.integers(0, 3, (1, 16, 16, 16), np.uint8)),
    }
    state = {"batch_stats": variables["batch_stats"]}
    of_key = jax.jit(partial(loss, cfg, variables["params"], state, batch))
    values = {float(of_key(jax.random.key(seed))[0]) for seed in range(4)}
    # Four draws of 48 turns are all the same once in 110,000.
    assert (len(values) > 1) is turned


def test_voxels_that_nobody_annotated_count_nowhere():
    tiny = RECIPES["tiny-16"]
    cfg = replace(
        tiny, data=replace(tiny.data, symmetries="none"), model=replace(tiny.model, width=2)
    )
    variables = model.init(cfg.model, jax.random.key(0), (1, 16, 16, 16, 1))
    params, state = variables["params"], {"batch_stats": variables["batch_stats"]}
    rng = np.random.default_rng(0)
    image = jnp.asarray(rng.standard_normal((2, 16, 16, 16, 1), np.float32))
    label = rng.integers(0, 3, (2, 16, 16, 16), np.uint8)
    label[0, 4:] = IGNORE

    def main(label):
        batch = {"image": image, "label": jnp.asarray(label)}
        return float(loss(cfg, params, state, batch, jax.random.key(1))[1][1]["loss_main"])

    logits = model.apply(cfg.model, params, state, image, train=True)[0].main
    known = label != IGNORE
    logp = np.asarray(jax.nn.log_softmax(logits))[known]
    weights = np.array(cfg.loss.class_weights)[label[known]]
    expected = -np.mean(weights * logp[np.arange(len(logp)), label[known]])
    # Means of thousands of float32 entropies in another order.
    assert main(label) == pytest.approx(expected, rel=1e-5)
    assert main(np.full_like(label, IGNORE)) == 0
