"""Trained networks as functions of pictures: any number of them, one compilation, one size."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from core import sharding
from core.errors import InputError
from core.train.checkpoint import restore_model
from core.train.run_folder import open_run
from eusdaf import model
from eusdaf import networks as module
from eusdaf.config import PrepareConfig
from eusdaf.loss import normalize
from eusdaf.networks import load_ensemble, network
from tests.eusdaf.conftest import SIZE, SMALL

PICTURES = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE), np.uint8)


@pytest.fixture(scope="module")
def mesh():
    """Two devices: a batch is two pictures."""
    return sharding.mesh(jax.devices()[:2])


@pytest.fixture(scope="module")
def variables(run):
    return restore_model(run / "checkpoints")


def test_any_number_of_pictures_gives_the_probabilities_of_the_network(variables, mesh):
    predict = network(SMALL, *variables, mesh)
    outputs, _ = model.apply(SMALL.model, *variables, normalize(PICTURES))
    expected = jax.nn.sigmoid(outputs.logits[..., 0])
    for num in (5, 2, 1):
        # Another batch sums in another order: float32.
        np.testing.assert_allclose(predict(PICTURES[:num]), expected[:num], rtol=1e-4, atol=1e-6)
    assert predict(PICTURES[:0]).shape == (0, SIZE, SIZE)


def test_one_compilation_serves_every_number_of_pictures_and_every_run(variables, mesh):
    module._program.cache_clear()
    for _ in range(2):
        predict = network(SMALL, *variables, mesh)
        for num in (1, 2, 5):
            predict(PICTURES[:num])
    assert module._program.cache_info().currsize == 1
    assert module._program(SMALL.model)._cache_size() == 1


def test_an_ensemble_is_the_mean_of_its_networks(run, variables, mesh, monkeypatch):
    weights = iter([(0.0, variables), (1.0, variables)])

    def scaled(folder):
        shift, (params, model_state) = next(weights)
        score = jax.tree.map(lambda array: array + shift, params["score"])
        return {**params, "score": score}, model_state

    monkeypatch.setattr(module, "restore_model", scaled)
    both = load_ensemble([run, run], mesh).predict(PICTURES)
    monkeypatch.setattr(module, "restore_model", lambda folder: variables)
    one = load_ensemble([run], mesh).predict(PICTURES)
    params = {
        **variables[0],
        "score": jax.tree.map(lambda array: array + 1.0, variables[0]["score"]),
    }
    other = network(SMALL, params, variables[1], mesh)(PICTURES)
    np.testing.assert_allclose(both, (one + other) / 2, rtol=1e-6)
    assert np.abs(one - other).max() > 0.01


def test_the_threshold_of_an_ensemble_is_that_of_its_first_run(run, mesh):
    assert load_ensemble([run], mesh).cfg == SMALL


def test_runs_of_different_sizes_are_refused(run, mesh, tmp_path):
    open_run(tmp_path, replace(SMALL, prepare=PrepareConfig(size=64)), resume=False)
    with pytest.raises(InputError, match=r"was trained on pictures of 64 .* on 32; give"):
        load_ensemble([run, tmp_path], mesh)


def test_a_folder_without_a_run_or_with_an_unfinished_one_is_refused(mesh, tmp_path):
    with pytest.raises(InputError, match=r"is no run: config\.json is missing"):
        load_ensemble([tmp_path], mesh)
    open_run(tmp_path, SMALL, resume=False)
    with pytest.raises(InputError, match="checkpoint"):
        load_ensemble([tmp_path], mesh)
