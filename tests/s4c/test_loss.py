"""What the step does to a batch before it judges it."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from s4c import model
from s4c.config import RECIPES
from s4c.loss import loss


@pytest.mark.parametrize(("symmetries", "turned"), [("none", False), ("cube", True)])
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
        "image": rng.standard_normal((1, 16, 16, 16, 1), np.float32),
        "label": rng.integers(0, 3, (1, 16, 16, 16), np.uint8),
    }
    state = {"batch_stats": variables["batch_stats"]}
    of_key = jax.jit(partial(loss, cfg, variables["params"], state, batch))
    values = {float(of_key(jax.random.key(seed))[0]) for seed in range(4)}
    # Four draws of 48 turns are all the same once in 110,000.
    assert (len(values) > 1) is turned
