"""Every recipe: one compiled step, finite numbers, JSON and back, any number of devices."""

from functools import partial

import jax
import numpy as np
import pytest

import eusdaf.recipes
import s4c.config
import s4c.recipes
from core import config
from core.train.state import create
from core.train.step import make_step
from tests.contracts.papers import PAPERS, Paper, counted

RECIPES = [(paper, name) for paper in PAPERS for name in PAPERS[paper].recipes]
# 101 layers; every convolution twice, with attention between.
SLOW = dict.fromkeys(("daf", "attention-unet"), pytest.mark.slow)
COMPILED = [
    pytest.param(paper, name, marks=SLOW.get(name, ()))
    for paper in PAPERS
    for name in PAPERS[paper].compiled
]


@pytest.fixture(params=PAPERS.values(), ids=PAPERS.keys())
def paper(request) -> Paper:
    return request.param


@pytest.mark.parametrize(("paper_name", "name"), RECIPES)
def test_a_recipe_survives_json(paper_name, name):
    cfg = PAPERS[paper_name].recipes[name]
    assert config.from_json(type(cfg), config.to_json(cfg)) == cfg


def test_no_two_recipes_have_one_fingerprint(paper):
    fingerprints = {config.fingerprint(cfg) for cfg in paper.recipes.values()}
    assert len(fingerprints) == len(paper.recipes)


@pytest.mark.parametrize(("paper_name", "name"), COMPILED)
def test_a_recipe_compiles_one_step_and_stays_finite(paper_name, name):
    paper = PAPERS[paper_name]
    cfg = paper.small(paper.recipes[name], 2, 3)
    task, traces = counted(paper.build(cfg))
    step = jax.jit(make_step(task, 0))
    state = jax.jit(partial(create, task, 0))()
    for batch in task.batches(0):
        state, metrics = step(state, batch)
        assert all(np.isfinite(value) for value in metrics.values())
    assert int(state.step) == 3
    assert len(traces) == 1


def test_s4c_recipes_state_the_numbers_of_the_paper():
    recipes = {n: cfg for n, cfg in s4c.recipes.RECIPES.items() if n.startswith("pdac")}
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


def test_pnet_recipes_state_the_numbers_of_the_paper():
    recipes = {n: cfg for n, cfg in s4c.recipes.RECIPES.items() if n.startswith("pnet")}
    assert set(recipes) == {
        f"pnet-{phase}{name}"
        for phase in ("venous", "arterial")
        for name in ("", "-unet3d", "-vnet")
    }
    for name, cfg in recipes.items():
        assert cfg.prepare.phase == name.split("-")[1]
        # Sec. 2.1, 2.2 and 3.1.
        assert cfg.prepare.duct
        assert cfg.model.num_classes == 4
        assert (cfg.data.patch, cfg.data.batch) == (64, 16)
        assert (cfg.infer.stride, cfg.infer.combine) == (20, "vote")
        assert (cfg.run.steps, cfg.optim.learning_rate, cfg.optim.power) == (80_000, 0.01, 0.9)
        assert (cfg.optim.momentum, cfg.optim.weight_decay) == (0.9, 5e-4)
        assert (cfg.split.num_folds, cfg.split.normal) == (4, "folds")
        decision = cfg.decision
        assert (decision.component_fraction, decision.near_voxels) == (0.2, 27)
        assert (decision.min_tumor_voxels, decision.min_duct_voxels) == (40, 500)


def test_the_classifier_of_s4c_states_the_numbers_of_the_paper():
    cfg = PAPERS["s4c"].recipes["classifier"]
    # PNET Sec. 2.3 and 3.1.
    assert (cfg.run.steps, cfg.data.batch) == (20_000, 1)
    assert (cfg.optim.learning_rate, cfg.optim.power) == (0.001, 0.9)
    assert (cfg.optim.momentum, cfg.optim.weight_decay) == (0.9, 5e-4)


def test_eusdaf_recipes_state_the_numbers_of_the_paper():
    recipes = eusdaf.recipes.RECIPES
    for name, group_width in (("daf", 4), ("daf-32x8d", 8)):
        cfg = recipes[name]
        # ResNeXt-101 of Sec. 2.4.
        assert (cfg.model.network, cfg.model.blocks) == ("daf", (3, 4, 23, 3))
        assert (cfg.model.groups, cfg.model.group_width) == (32, group_width)
        assert (cfg.run.epochs, cfg.run.steps, cfg.data.batch) == (50, 0, 32)
        optim = cfg.optim
        assert (optim.algorithm, optim.momentum, optim.weight_decay) == ("sgd", 0.9, 0.01)
        assert (optim.learning_rate, optim.drop_epochs) == (0.007, (5, 20))
        assert optim.drop_factor == 0.02
        assert cfg.loss.smooth == 1
    for name in ("daf", "daf-32x8d", "unet", "attention-unet"):
        cfg = recipes[name]
        # Sec. 2.3, the same for all three networks.
        assert (cfg.prepare.size, cfg.split.num_folds) == (256, 5)
        assert set(cfg.augment.degrees) == {-5, -2.5, 0, 2.5, 5}
        assert set(cfg.augment.scales) == {0.9, 1, 1.1}
        assert cfg.augment.flip
        assert (cfg.augment.reach_px, cfg.augment.sigma_px) == (2.048, 20.48)
        assert cfg.infer.threshold == 0.5
