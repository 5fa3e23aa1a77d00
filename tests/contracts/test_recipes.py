"""Every recipe: one compiled step, finite numbers, JSON and back, any number of devices."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from core import config, sharding
from core.train.fit import fit
from core.train.state import create
from core.train.step import make_step
from s4c.config import RECIPES, Config
from s4c.train import build
from tests.s4c.phantoms import prepared

CASES = [prepared("a", tumor=True), prepared("b", tumor=False, seed=1)]


def small(cfg: Config, *, batch: int = 2, steps: int = 3) -> Config:
    """The same recipe with few channels, examples and steps: every other number stays."""
    return replace(
        cfg,
        run=replace(cfg.run, steps=steps),
        model=replace(cfg.model, width=2),
        data=replace(cfg.data, batch=batch),
    )


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_json(name):
    cfg = RECIPES[name]
    assert config.from_json(Config, config.to_json(cfg)) == cfg


def test_no_two_recipes_have_one_fingerprint():
    assert len({config.fingerprint(cfg) for cfg in RECIPES.values()}) == len(RECIPES)


@pytest.mark.parametrize("name", [name for name in RECIPES if name.startswith("tiny")])
def test_a_recipe_compiles_one_step_and_stays_finite(name):
    task, traces = build(small(RECIPES[name]), CASES), []

    def counted(params, model_state, batch, key):
        traces.append(1)
        return task.loss(params, model_state, batch, key)

    step = jax.jit(make_step(task._replace(loss=counted), 0))
    state = create(task, 0)
    for batch in task.batches(0):
        state, metrics = step(state, batch)
        assert all(np.isfinite(value) for value in metrics.values())
    assert int(state.step) == 3
    assert len(traces) == 1


def test_paper_recipes_state_the_numbers_of_the_paper():
    recipes = {name: cfg for name, cfg in RECIPES.items() if name.startswith("pdac")}
    numbers = {
        name: (cfg.data.patch, cfg.data.batch, cfg.infer.stride, cfg.model.num_aux)
        for name, cfg in recipes.items()
    }
    # Sec. 2.2 and 2.3, Fig. 2.
    assert numbers == {
        "pdac-64": (64, 16, 20, 2),
        "pdac-32": (32, 32, 10, 1),
        "pdac-16": (16, 128, 5, 1),
    }
    for cfg in recipes.values():
        assert cfg.run.steps == 80_000
        assert (cfg.optim.learning_rate, cfg.optim.power) == (0.01, 0.9)
        assert (cfg.optim.momentum, cfg.optim.weight_decay) == (0.9, 5e-4)
        assert cfg.decision.min_tumor_voxels == 50
        assert cfg.decision.component_fraction == 0.2
    ratios = [np.array([*cfg.loss.aux_weights, 1.0]) for cfg in recipes.values()]
    np.testing.assert_allclose(ratios[0] / ratios[0][0], [1, 2, 5])
    np.testing.assert_allclose(ratios[1] / ratios[1][0], [1, 3])


def test_one_device_equals_eight(tmp_path):
    cfg = small(RECIPES["tiny-16"], batch=8, steps=2)
    task = build(cfg, CASES)
    one, eight = (
        fit(task, cfg.run, mesh=sharding.mesh(jax.devices()[:n]), workdir=tmp_path / str(n))
        for n in (1, 8)
    )
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True):
        # Sums over the batch are taken in another order: a few float32 roundings, grown by the
        # batch norms of 13 layers.
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-3, atol=2e-4)
