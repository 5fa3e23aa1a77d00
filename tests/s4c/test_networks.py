"""Trained networks as a cascade: the coarse one's choices hold, and what must agree does."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core import json_io, sharding
from core.errors import InputError
from core.train.checkpoint import Checkpoints
from core.train.run_folder import MANIFEST, Division, open_run, record_division
from core.train.state import State
from s4c import model
from s4c.config import Config, DecisionConfig, InferConfig, ModelConfig, PrepareConfig
from s4c.networks import load_cascade, open_runs, voting
from s4c.recipes import RECIPES

DIVISION = Division(0, ("a",), (), ("b",), {"A": "train", "B": "test"}, {})
MODEL = ModelConfig(width=2, num_aux=1)
COARSE = replace(
    RECIPES["tiny-32"],
    model=MODEL,
    infer=InferConfig(stride=32, batch=1, roi_margin=7),
    decision=DecisionConfig(min_tumor_voxels=3),
)
FINE = replace(
    RECIPES["tiny-16"],
    model=MODEL,
    infer=InferConfig(stride=8, batch=2, roi_margin=9),
    decision=DecisionConfig(min_tumor_voxels=5),
)


@cache
def variables(network: ModelConfig):
    return jax.jit(lambda key: model.init(network, key, (1, 16, 16, 16, 1)))(jax.random.key(0))


def write_run(folder, cfg: Config, division: Division = DIVISION):
    """A run with random weights, as training leaves it."""
    open_run(folder, cfg, resume=False)
    record_division(folder, division)
    drawn = variables(cfg.model)
    batch_stats = {"batch_stats": drawn["batch_stats"]}
    state = State(jnp.zeros((), jnp.int32), drawn["params"], batch_stats, {})
    with Checkpoints(folder / "checkpoints", keep=1) as checkpoints:
        checkpoints.save_model(0, state)
    json_io.write_json(folder / MANIFEST, {})
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("s4c")
    return [write_run(root / "fine", FINE), write_run(root / "coarse", COARSE)]


@pytest.fixture(scope="module")
def mesh():
    return sharding.mesh(jax.devices()[:1])


@pytest.mark.parametrize("order", [1, -1])
def test_the_largest_patch_is_the_coarse_one_and_its_choices_hold(runs, mesh, order):
    opened = open_runs(runs[::order])[None]
    assert [run.cfg for run in opened] == [COARSE, FINE]
    cascade = load_cascade(opened, mesh, {})
    assert cascade.cfg == COARSE
    assert len(cascade.predicts) == 2


def test_a_choice_overrides_that_of_every_network(runs, mesh, monkeypatch):
    strides = []
    monkeypatch.setattr("s4c.networks.sliding", lambda cfg, *_: strides.append(cfg.infer.stride))
    load_cascade(open_runs(runs)[None], mesh, {})
    assert strides == [32, 8]
    choices = {"infer.stride": 16, "decision.min_tumor_voxels": 4}
    cfg = load_cascade(open_runs(runs)[None], mesh, choices).cfg
    assert strides[2:] == [16, 16]
    assert cfg.infer == replace(COARSE.infer, stride=16)
    assert cfg.decision == replace(COARSE.decision, min_tumor_voxels=4)


def test_a_fine_network_answers_alone_beside_a_coarse_one_only(runs, mesh):
    assert load_cascade(open_runs(runs)[None], mesh, {}, alone=True).alone
    with pytest.raises(InputError, match="got 1 runs"):
        load_cascade(open_runs(runs[:1])[None], mesh, {}, alone=True)


def test_runs_of_other_windows_grids_folds_or_of_one_size_are_refused(runs, tmp_path):
    grid = replace(FINE, prepare=PrepareConfig(spacing_mm=(2.0, 1.0, 1.0)))
    window = replace(FINE, prepare=PrepareConfig(window_hu=(-50.0, 200.0)))
    changes = {
        "window": write_run(tmp_path / "window", window),
        "grid": write_run(tmp_path / "grid", grid),
        "fold": write_run(tmp_path / "fold", FINE, DIVISION._replace(fold=1)),
        "size": write_run(tmp_path / "size", COARSE),
    }
    words = {"window": "(-50.0, 200.0) HU", "fold": "fold 1", "size": "size 32"}
    words["grid"] = "voxels of 2 × 1 × 1 mm"
    for name, said in words.items():
        with pytest.raises(InputError) as refusal:
            open_runs([runs[1], changes[name]])
        assert refusal.value.path == changes[name]
        assert said in refusal.value.message
        assert refusal.value.hint


def test_how_labels_are_flipped_is_no_matter_of_the_networks(runs, tmp_path):
    flipped = replace(FINE, prepare=replace(FINE.prepare, label_flip="d"))
    assert len(open_runs([runs[1], write_run(tmp_path / "flipped", flipped)])[None]) == 2


PNET = {
    phase: replace(
        RECIPES[f"tiny-pnet-{phase}"],
        data=replace(COARSE.data, patch=16),
        model=replace(MODEL, num_classes=4, num_aux=2),
        infer=replace(RECIPES["tiny-pnet-venous"].infer, stride=8, batch=1),
    )
    for phase in ("venous", "arterial")
}


@pytest.fixture(scope="module")
def phases(tmp_path_factory):
    root = tmp_path_factory.mktemp("pnet")
    return {phase: write_run(root / phase, cfg) for phase, cfg in PNET.items()}


def test_runs_of_two_phases_are_two_cascades(phases):
    opened = open_runs(list(phases.values()))
    assert list(opened) == ["arterial", "venous"]
    assert [run.path for of_phase in opened.values() for run in of_phase] == [
        phases["arterial"],
        phases["venous"],
    ]


def test_the_windows_of_a_network_vote(phases, mesh):
    cascade = load_cascade(open_runs([phases["venous"]])["venous"], mesh, {})
    assert cascade.predicts == ()
    assert cascade.vote is not None
    image = np.random.default_rng(0).standard_normal((20, 24, 28)).astype(np.float32)
    voted = cascade.vote(image)
    assert voted.label.shape == image.shape
    early = replace(PNET["venous"].infer, early=False)
    full = voting(replace(PNET["venous"], infer=early), *open_weights(phases["venous"]), mesh)(
        image
    )
    np.testing.assert_array_equal(voted.label, full.label)
    assert full.num_run == full.num_windows == voted.num_windows
    nobody = cascade.vote(image, body=np.zeros(image.shape, bool))
    assert (nobody.num_run, nobody.label.any()) == (0, False)


def open_weights(path):
    (run,) = open_runs([path])["venous"]
    return run.weights()


def test_runs_that_make_no_examination_are_refused(runs, phases, tmp_path, mesh):
    other = {
        "mixed": (runs[1], "scans of any phase"),
        "fold": (write_run(tmp_path / "f", PNET["venous"], DIVISION._replace(fold=1)), "fold 1"),
        "patient": (
            write_run(tmp_path / "p", PNET["venous"], DIVISION._replace(patients={"x": "test"})),
            "patient x in its test part",
        ),
        "network": (
            write_run(
                tmp_path / "n",
                replace(
                    PNET["venous"],
                    model=ModelConfig("unet3d", width=2, num_classes=4, num_aux=0),
                    loss=replace(PNET["venous"].loss, aux_weights=()),
                ),
            ),
            "unet3d",
        ),
    }
    first = write_run(tmp_path / "a", PNET["arterial"], DIVISION._replace(patients={"x": "train"}))
    for path, said in other.values():
        with pytest.raises(InputError, match=said):
            open_runs([first, path])
    two = [
        write_run(
            tmp_path / "32", replace(PNET["venous"], data=replace(PNET["venous"].data, patch=32))
        )
    ]
    with pytest.raises(InputError, match="no network beside it"):
        load_cascade(open_runs([phases["venous"], *two])["venous"], mesh, {})
