"""Trained networks as functions of slices: any number of them, one compilation, one task each."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core import compiler, sharding
from core.errors import InputError
from core.train.run_folder import Division, open_run
from fee import model
from fee import networks as module
from fee.config import PrepareConfig, ScreenConfig, SplitConfig
from fee.loss import fuse, normalize
from fee.networks import load_bundle, network, open_runs
from tests.fee.tiny import (
    LEARNED,
    MODELS,
    SIZE,
    THRESHOLDS,
    config,
    variables,
    write_run,
    write_runs,
)

pytestmark = pytest.mark.several_devices

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
    image = jnp.asarray(IMAGE)
    inputs = image if mask is None else fuse(image, jnp.asarray(mask))
    apply = jax.jit(model.apply, static_argnums=0)
    logits, _ = apply(MODELS[task], *variables(task), normalize(inputs))
    expected = jax.nn.softmax(logits)[..., 1]
    assert expected.shape == ((5, SIZE, SIZE) if task == "segment" else (5,))
    for num in (5, 4, 1, 0):
        probs = predict(IMAGE[:num], None if mask is None else mask[:num])
        # Another batch sums in another order: float32.
        np.testing.assert_allclose(probs, expected[:num], rtol=1e-4, atol=1e-6)


def test_one_compilation_serves_every_number_of_slices(mesh):
    compiler.of_config.cache_clear()
    for _ in range(2):
        predict = network(config("diagnose"), *variables("diagnose"), mesh)
        for num in (1, 4, 5):
            predict(IMAGE[:num], MASK[:num])
    assert compiler.of_config.cache_info().currsize == 1
    assert compiler.of_config(module.probability, config("diagnose").model)._cache_size() == 1


def test_three_runs_in_any_order_or_one_folder_make_the_same_bundle(runs, mesh):
    bundles = [
        load_bundle(open_runs(paths), mesh, {}) for paths in (runs, runs[::-1], [runs[0].parent])
    ]
    for bundle in bundles:
        assert bundle.cfgs == {task: config(task) for task in MODELS}
        for task in MODELS:
            mask = MASK if task == "diagnose" else None
            expected = network(config(task), *variables(task), mesh)(IMAGE, mask)
            np.testing.assert_array_equal(getattr(bundle, task)(IMAGE, mask), expected)


def test_rule_and_threshold_are_overridden_for_the_decision_and_the_rest_for_all(runs, mesh):
    choices = {"infer.threshold": 0.25, "infer.rule": "vote", "infer.batch": 1, "screen.size": 64}
    cfgs = load_bundle(open_runs(runs), mesh, choices).cfgs
    for task, cfg in cfgs.items():
        is_decision = task == "diagnose"
        assert cfg.infer.threshold == (0.25 if is_decision else THRESHOLDS[task])
        assert cfg.infer.rule == ("vote" if is_decision else "mean")
        assert (cfg.infer.batch, cfg.screen) == (1, ScreenConfig(size=64))


def test_a_missing_task_is_refused_and_named(runs, tmp_path):
    with pytest.raises(InputError, match="segment and diagnose"):
        open_runs(runs[:1])
    write_run(tmp_path / "locate", "locate")
    with pytest.raises(InputError, match="segment and diagnose"):
        open_runs([tmp_path])


def test_two_runs_of_one_task_are_refused(runs):
    with pytest.raises(InputError, match="second network for the task locate"):
        open_runs([*runs, runs[0]])


def test_runs_on_other_slices_are_refused(runs, tmp_path):
    other = replace(config("segment"), prepare=PrepareConfig(size=64))
    write_run(tmp_path, "segment", other)
    with pytest.raises(InputError, match="slices of 64 pixels"):
        open_runs([runs[0], tmp_path, runs[2]])


def test_runs_that_learned_from_others_are_refused(runs, tmp_path):
    write_run(tmp_path, "segment", division=LEARNED._replace(train=("z",)))
    with pytest.raises(InputError, match="learned from other cases") as error:
        open_runs([runs[0], tmp_path, runs[2]])
    assert error.value.path == tmp_path


def test_runs_split_by_image_must_share_a_data_set_alone(tmp_path):
    def write(task: str, division: Division) -> None:
        cfg = replace(config(task), split=SplitConfig(by="image"))
        write_run(tmp_path / task, task, cfg, division=division)

    for number, task in enumerate(MODELS):
        write(task, LEARNED._replace(train=(f"a:{number}",)))
    assert len(open_runs([tmp_path])) == 3
    write_run(tmp_path / "by patient", "segment")
    with pytest.raises(InputError, match="split by"):
        open_runs([tmp_path / "locate", tmp_path / "by patient", tmp_path / "diagnose"])


def test_a_folder_without_a_run_or_with_an_unfinished_one_is_refused(runs, tmp_path):
    with pytest.raises(InputError, match=r"config\.json is missing"):
        open_runs([tmp_path])
    open_run(tmp_path, config("locate"), resume=False)
    with pytest.raises(InputError, match="no complete checkpoint"):
        open_runs([tmp_path, *runs[1:]])
    write_run(tmp_path / "locate", "locate", finished=False)
    with pytest.raises(InputError, match="not finished"):
        open_runs([tmp_path / "locate", *runs[1:]])
    assert open_runs([tmp_path / "locate", *runs[1:]], allow_unfinished=True)[0].step == 0
