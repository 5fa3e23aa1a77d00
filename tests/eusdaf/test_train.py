"""Training: who is learned from, how the rate falls, what decays, what the encoder starts from."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from core import sharding
from core.config import from_json
from core.errors import InputError
from core.train.checkpoint import restore_model
from core.train.run_folder import read_division
from eusdaf.config import Config, DataConfig, OptimConfig
from eusdaf.data import Prepared
from eusdaf.networks import network
from eusdaf.recipes import RECIPES
from eusdaf.train import build, optimizer, train
from tests.eusdaf.conftest import SIZE, SMALL
from tests.refusals import refused

PER_EPOCH = 264 / 32
"""Steps of an epoch of the paper: four folds of 66 pictures, batch 32."""


def picture(number: int, *, has_lesion: bool) -> Prepared:
    pixels = np.full((SIZE, SIZE), number, np.uint8)
    name = f"p{number}"
    return Prepared(name, name, name, pixels, pixels * 0, has_lesion)


def test_a_fold_trains_on_its_patients_and_is_judged_on_the_others(run, cohort):
    folds = json.loads((run / "folds.json").read_text())
    assert folds["fold"] == 1
    patients = [{name[:-2] for name in folds[side]} for side in ("train", "test")]
    assert not patients[0] & patients[1]
    assert patients[0] | patients[1] == {f"phantom_{n:03d}" for n in range(6)}
    division = read_division(run)
    assert set(division.images.values()) == {"train", "test"}
    assert len(division.images) == 12
    assert {p for p, part in division.patients.items() if part == "test"} == patients[1]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    (rows,) = [line["rows"] for line in lines if "rows" in line]
    assert [row["id"] for row in rows] == folds["test"]


def test_a_run_folder_says_what_it_is(run):
    assert from_json(Config, (run / "config.json").read_text()) == SMALL
    assert json.loads((run / "manifest.json").read_text())["encoder_weights"] is None
    assert (run / "plots" / "loss.png").is_file()


def test_trained_parameters_give_probabilities(run):
    mesh = sharding.mesh(jax.devices()[:1])
    predict = network(SMALL, *restore_model(run / "checkpoints"), mesh=mesh)
    probs = predict(np.zeros((1, SIZE, SIZE), np.uint8))
    assert probs.shape == (1, SIZE, SIZE)
    assert ((probs > 0) & (probs < 1)).all()


def rates(cfg: OptimConfig, steps: list[int], steps_per_epoch: float) -> list[float]:
    """Learning rate at each step: how far a gradient of one moves a parameter that has no past."""
    still, param = replace(cfg, momentum=0.0, weight_decay=0.0), jnp.ones(())
    tx = optimizer(still, steps_per_epoch=steps_per_epoch)
    state, rate_at = tx.init(param), {}
    update = jax.jit(tx.update)
    for step in range(max(steps) + 1):
        moved, state = update(jnp.ones(()), state, param)
        rate_at[step] = -float(moved)
    return [rate_at[step] for step in steps]


def test_the_rate_falls_when_the_fifth_and_the_twentieth_epoch_begin():
    # Epoch 5 begins after four epochs of 8.25 steps, epoch 20 after nineteen.
    first, second = round(4 * PER_EPOCH), round(19 * PER_EPOCH)
    assert (first, second) == (33, 157)
    steps = [0, first - 1, first, second - 1, second, second + 50]
    expected = [0.007, 0.007, 0.007 * 0.02, 0.007 * 0.02, 0.007 * 0.02**2, 0.007 * 0.02**2]
    measured = rates(RECIPES["daf"].optim, steps, PER_EPOCH)
    np.testing.assert_allclose(measured, expected, rtol=1e-6)  # float32


@pytest.mark.parametrize("algorithm", ["sgd", "adam"])
@pytest.mark.parametrize("decay_biases", [True, False])
def test_biases_norms_and_slopes_decay_if_the_recipe_says_so(algorithm, decay_biases):
    cfg = OptimConfig(algorithm, decay_biases=decay_biases)
    params = {"kernel": jnp.full((2, 2), 3.0), "bias": jnp.full(2, 3.0)}
    tx = optimizer(cfg, steps_per_epoch=10)
    updates, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)
    assert (updates["kernel"] < 0).all()
    assert (updates["bias"] < 0).all() == decay_biases


def test_lesions_only_leaves_pictures_without_a_lesion_out():
    cases = [picture(number, has_lesion=number < 4) for number in range(8)]
    grays = {}
    for only in (True, False):
        task = build(replace(SMALL, data=DataConfig(8, lesions_only=only)), cases)
        batch = next(iter(task.batches(0)))
        grays[only] = set(np.asarray(batch["image"])[:, 0, 0].tolist())
    assert grays == {True: {0, 1, 2, 3}, False: set(range(8))}


def test_a_data_set_without_a_lesion_cannot_be_trained_on_lesions_only():
    cfg = replace(SMALL, data=DataConfig(8, lesions_only=True))
    with refused(None, "no training picture", hint="data.lesions_only"):
        build(cfg, [picture(0, has_lesion=False)])


def test_epochs_count_the_pictures_that_are_trained_on():
    cfg = replace(SMALL, run=replace(SMALL.run, steps=0, epochs=3), data=DataConfig(4))
    task = build(cfg, [picture(number, has_lesion=True) for number in range(10)])
    assert len(list(task.batches(0))) == 8  # 30 pictures in batches of 4, rounded up


def test_held_out_pictures_are_judged_by_the_dice_of_their_masks():
    truth = np.zeros((SIZE, SIZE), np.uint8)
    truth[: SIZE // 2] = 1
    case = picture(0, has_lesion=True)._replace(mask=truth)
    everything = replace(SMALL, infer=replace(SMALL.infer, threshold=0.0))
    task = build(everything, [case], [case, case._replace(id="empty", mask=truth * 0)])
    assert task.evaluate is not None
    variables = jax.tree.map(
        lambda leaf: jnp.ones(leaf.shape, leaf.dtype), jax.eval_shape(task.init, jax.random.key(0))
    )
    rows = task.evaluate(variables["params"], {"batch_stats": variables["batch_stats"]})
    # All pixels are predicted: 2 · ½ / (1 + ½) of the first, none of the second.
    assert rows == [{"id": "p0", "dsc": pytest.approx(2 / 3)}, {"id": "empty", "dsc": 0.0}]


@pytest.mark.usefixtures("all_devices")
def test_held_out_pictures_are_evaluated_a_batch_in_memory_at_a_time(monkeypatch):
    sizes = []

    def counting(cfg, params, model_state, mesh):
        def predict(pictures):
            sizes.append(len(pictures))
            return np.zeros(pictures.shape, np.float32)

        return predict

    monkeypatch.setattr("eusdaf.train.network", counting)
    cases = [picture(number, has_lesion=True) for number in range(2 * jax.local_device_count() + 1)]
    task = build(SMALL, cases, cases)
    assert task.evaluate is not None
    assert [row["id"] for row in task.evaluate({}, {})] == [case.id for case in cases]
    assert sizes == [jax.local_device_count()] * 2 + [1]


def test_a_whole_daf_net_without_encoder_weights_warns(caplog, tmp_path):
    cases = [picture(0, has_lesion=True)]
    for name in ("daf", "daf-32x8d"):
        caplog.clear()
        build(RECIPES[name], cases)
        assert "the encoder starts at random, the paper's from ImageNet" in caplog.text
    caplog.clear()
    build(RECIPES["daf"], cases, encoder_weights=tmp_path / "w.safetensors")
    for name in ("tiny", "unet"):
        build(RECIPES[name], cases)
    assert not caplog.messages


def test_encoder_weights_need_an_encoder(tmp_path):
    save_file({"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}, tmp_path / "w.safetensors")
    task = build(SMALL, [picture(0, has_lesion=True)], encoder_weights=tmp_path / "w.safetensors")
    with refused(tmp_path / "w.safetensors", "do not fit a network without one"):
        jax.eval_shape(task.init, jax.random.key(0))


@pytest.mark.parametrize("fold", [-1, 5])
def test_a_fold_that_does_not_exist_is_refused(cohort, tmp_path, fold):
    with pytest.raises(InputError, match=f"fold {fold} does not exist"):
        train(SMALL, [cohort], tmp_path / "run", fold=fold)


def test_a_run_is_not_started_twice(run, cohort):
    with refused(run, "already holds a run", hint="--resume"):
        train(SMALL, [cohort], run, fold=1)


def test_a_run_does_not_go_on_with_another_fold(run, cohort):
    with refused(run / "folds.json", "other cases", "fold"):
        train(SMALL, [cohort], run, fold=2, resume=True)


def test_a_training_set_without_a_picture_is_refused():
    lesions_only = replace(SMALL, data=replace(SMALL.data, lesions_only=True))
    for cfg, cases in ((SMALL, []), (lesions_only, [picture(0, has_lesion=False)])):
        with pytest.raises(InputError, match=r"no training picture; look at data\.lesions_only"):
            build(cfg, cases)
