"""Trained networks as functions of pictures: any number of them, one compilation, one size."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core import compiler, sharding
from core.config import to_json
from core.errors import InputError
from core.infer.load import Run
from core.train.checkpoint import restore_model
from eusdaf import model
from eusdaf import networks as module
from eusdaf.config import ModelConfig, PrepareConfig
from eusdaf.loss import normalize
from eusdaf.networks import load_ensemble, network, open_runs
from tests.contracts.commands import forge
from tests.eusdaf.conftest import SIZE, SMALL

pytestmark = pytest.mark.several_devices

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
    on_device = jax.tree.map(jnp.asarray, variables)
    outputs, _ = model.apply(SMALL.model, *on_device, normalize(jnp.asarray(PICTURES)))
    expected = jax.nn.sigmoid(outputs.logits[..., 0])
    for num in (5, 2, 1):
        # Another batch sums in another order: float32.
        np.testing.assert_allclose(predict(PICTURES[:num]), expected[:num], rtol=1e-4, atol=1e-6)
    assert predict(PICTURES[:0]).shape == (0, SIZE, SIZE)


def test_one_compilation_serves_every_number_of_pictures_and_every_run(variables, mesh):
    compiler.of_config.cache_clear()
    for _ in range(2):
        predict = network(SMALL, *variables, mesh)
        for num in (1, 2, 5):
            predict(PICTURES[:num])
    assert compiler.of_config.cache_info().currsize == 1
    assert compiler.of_config(module.probability, SMALL.model)._cache_size() == 1


def test_an_ensemble_is_the_mean_of_its_networks(run, variables, mesh, monkeypatch):
    (opened,) = open_runs([run])
    score = jax.tree.map(lambda array: array + 1.0, variables[0]["score"])
    params = {**variables[0], "score": score}
    weights = iter([variables, (params, variables[1])])
    monkeypatch.setattr(Run, "weights", lambda run: next(weights))
    both = load_ensemble([opened, opened], mesh, {}).predict(PICTURES)
    first, second = (
        network(SMALL, p, variables[1], mesh)(PICTURES) for p in (variables[0], params)
    )
    np.testing.assert_allclose(both, (first + second) / 2, rtol=1e-6)
    assert np.abs(first - second).max() > 0.01


@pytest.mark.parametrize("order", [1, -1])
def test_operating_choices_are_those_of_the_first_run_unless_overridden(run, mesh, tmp_path, order):
    other = forge(run, tmp_path / "other", fold=2)
    strict = replace(SMALL, infer=replace(SMALL.infer, threshold=0.75))
    (other / "config.json").write_text(to_json(strict))
    opened = open_runs([run, other][::order])
    first = (SMALL, strict)[::order][0]
    assert load_ensemble(opened, mesh, {}).cfg == first
    cfg = load_ensemble(opened, mesh, {"infer.threshold": 0.25}).cfg
    assert cfg.infer == replace(first.infer, threshold=0.25)
    with pytest.raises(InputError) as refusal:
        load_ensemble(opened, mesh, {"infer.threshold": 2.0})
    assert "--infer.threshold" in refusal.value.message


def test_folds_of_one_recipe_make_an_ensemble_and_one_fold_twice_does_not(run, tmp_path):
    other = forge(run, tmp_path / "other", fold=2)
    assert [opened.division.fold for opened in open_runs([run, other])] == [1, 2]
    with pytest.raises(InputError, match="is a second network of fold 1"):
        open_runs([run, forge(run, tmp_path / "again")])


def test_held_out_pictures_can_have_several_networks_of_their_fold(run, tmp_path):
    again = forge(run, tmp_path / "again")
    assert len(open_runs([run, again], held_out=True)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prepare": PrepareConfig(size=64)}, f"on pictures of 64 pixels, .* of {SIZE} pixels"),
        ({"model": ModelConfig("attention-unet", width=2)}, "another attention-unet"),
    ],
    ids=["size", "network"],
)
def test_runs_that_differ_are_refused(run, tmp_path, change, message):
    other = forge(run, tmp_path / "other", fold=2)
    (other / "config.json").write_text(to_json(replace(SMALL, **change)))
    with pytest.raises(InputError, match=message) as refusal:
        open_runs([run, other])
    assert refusal.value.path == other


def test_a_folder_without_a_run_or_with_an_unfinished_one_is_refused(run, tmp_path):
    with pytest.raises(InputError, match=r"is no run: config\.json is missing"):
        open_runs([tmp_path])
    unfinished = forge(run, tmp_path / "run")
    (unfinished / "manifest.json").unlink()
    with pytest.raises(InputError, match="is not finished"):
        open_runs([unfinished])
    assert open_runs([unfinished], allow_unfinished=True)[0].step == 3
