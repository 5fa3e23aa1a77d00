"""Trained networks as functions of slices: any number of them, one compilation, one task each."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from core import sharding
from core.errors import InputError
from core.train.run_folder import open_run
from fee import model
from fee import networks as module
from fee.config import PrepareConfig
from fee.fusion import fuse
from fee.loss import normalize
from fee.networks import load_bundle, network
from tests.fee.tiny import MODELS, SIZE, config, variables, write_run, write_runs

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (5, SIZE, SIZE), np.uint8)
MASK = (RNG.random((5, SIZE, SIZE)) < 0.3).astype(np.uint8)


@pytest.fixture(scope="module")
def mesh():
    """Two devices: a batch is four slices."""
    return sharding.mesh(jax.devices()[:2])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_runs(tmp_path_factory.mktemp("fee") / "runs")


@pytest.mark.parametrize("task", MODELS)
def test_any_number_of_slices_gives_the_probabilities_of_the_network(task, mesh):
    mask = MASK if task == "diagnose" else None
    predict = network(config(task), *variables(task), mesh)
    seen = IMAGE if mask is None else fuse(IMAGE, mask)
    apply = jax.jit(model.apply, static_argnums=0)
    logits, _ = apply(MODELS[task], *variables(task), normalize(seen))
    expected = jax.nn.softmax(logits)[..., 1]
    assert expected.shape == ((5, SIZE, SIZE) if task == "segment" else (5,))
    for num in (5, 4, 1, 0):
        found = predict(IMAGE[:num], None if mask is None else mask[:num])
        # Another batch sums in another order: float32.
        np.testing.assert_allclose(found, expected[:num], rtol=1e-4, atol=1e-6)


def test_one_compilation_serves_every_number_of_slices(mesh):
    module._program.cache_clear()
    for _ in range(2):
        predict = network(config("diagnose"), *variables("diagnose"), mesh)
        for num in (1, 4, 5):
            predict(IMAGE[:num], MASK[:num])
    assert module._program.cache_info().currsize == 1
    assert module._program(config("diagnose").model)._cache_size() == 1


def test_three_runs_in_any_order_or_one_folder_make_the_same_bundle(runs, mesh):
    bundles = [load_bundle(r, mesh) for r in (runs, runs[::-1], [runs[0].parent])]
    for bundle in bundles:
        assert bundle.cfgs == {task: config(task) for task in MODELS}
        for task in MODELS:
            mask = MASK if task == "diagnose" else None
            expected = network(config(task), *variables(task), mesh)(IMAGE, mask)
            np.testing.assert_array_equal(getattr(bundle, task)(IMAGE, mask), expected)


def test_the_weights_of_the_smallest_validation_loss_are_taken(runs, mesh, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "weights_folder", lambda run: asked.append(run) or run / "x")
    monkeypatch.setattr(module, "restore_model", lambda folder: variables(folder.parent.name))
    load_bundle(runs, mesh)
    assert asked == runs


def test_a_missing_task_is_refused_and_named(runs, mesh, tmp_path):
    with pytest.raises(InputError, match=r"no run for segment and diagnose among .*; give one"):
        load_bundle(runs[:1], mesh)
    write_run(tmp_path / "locate", "locate")
    with pytest.raises(InputError, match="no run for segment and diagnose"):
        load_bundle([tmp_path], mesh)


def test_two_runs_of_one_task_are_refused(runs, mesh):
    with pytest.raises(InputError, match=r"is a second network for the task locate, beside .*give"):
        load_bundle([*runs, runs[0]], mesh)


def test_runs_on_other_slices_are_refused(runs, mesh, tmp_path):
    other = replace(config("segment"), prepare=PrepareConfig(size=64))
    write_run(tmp_path, "segment", other)
    message = r"slices of 64 pixels and -100 to 240 HU, .* on 32 pixels .*; give runs"
    with pytest.raises(InputError, match=message):
        load_bundle([runs[0], tmp_path, runs[2]], mesh)


def test_a_folder_without_a_run_or_with_an_unfinished_one_is_refused(runs, mesh, tmp_path):
    with pytest.raises(InputError, match=r"is no run: config\.json is missing"):
        load_bundle([tmp_path], mesh)
    open_run(tmp_path, config("locate"), resume=False)
    with pytest.raises(InputError, match="holds no complete checkpoint"):
        load_bundle([tmp_path, *runs[1:]], mesh)
