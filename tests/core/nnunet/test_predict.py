import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nnunet.predict import load, network_of, segment
from core.nnunet.prepare import prepare
from core.volume import Volume
from tests.core.nnunet import models
from tests.core.nnunet.models import write_v1, write_v2
from tests.core.nnunet.torch_writer import save
from tests.refusals import refused

WRITERS = {1: write_v1, 2: write_v2}
DIRECTION = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])


@pytest.fixture
def image():
    array = np.random.default_rng(0).normal(40, 60, (8, 8, 8)).astype(np.float32)
    return Volume(array, (2.0, 1.0, 1.0), (1.0, 2.0, 3.0), DIRECTION)


def answers(network, image):
    """Logits of each fold for a case of one window, averaged over its eight mirrorings by hand."""
    apply, _ = network_of(network.plans)
    window = jnp.asarray(prepare(network.plans, [image]).image)[None]
    flips = [[a + 1 for a in range(3) if bits >> a & 1] for bits in range(8)]
    turn = jax.nn.softmax if network.plans.version == 1 else (lambda logits: logits)
    return [
        sum(jnp.flip(turn(apply(fold, jnp.flip(window, f))), f)[0] for f in flips) / 8
        for fold in network.folds
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_folds_are_averaged_as_logits_by_version_2_and_as_probabilities_by_1(
    version, image, tmp_path
):
    folds = {1: ("fold_0", "fold_01"), 2: ("0", "01")}[version]
    network = load(WRITERS[version](tmp_path / "model", folds=folds))
    assert len(network.folds) == 2
    label = segment(network, [image])
    expected = np.mean(answers(network, image), axis=0).argmax(-1)
    assert len(np.unique(expected)) > 1
    # Rounding decides where two classes are alike.
    assert (label.array == expected).mean() >= 0.99
    np.testing.assert_array_equal(label.affine_lps, image.affine_lps)


def test_the_first_file_of_a_fold_is_the_final_one_else_the_best(image, tmp_path):
    folder = write_v2(tmp_path / "model", folds=("0", "all"))
    fold = folder / "fold_0"
    best = (fold / "checkpoint_final.pth").rename(fold / "checkpoint_best.pth")
    (by_default,), (all_cases,) = (load(folder, folds).folds for folds in (None, ["all"]))
    assert not np.array_equal(
        *(f["params"]["heads"]["head0"]["bias"] for f in (by_default, all_cases))
    )
    best.unlink()
    (only_all,) = load(folder).folds
    jax.tree.map(np.testing.assert_array_equal, only_all, all_cases)


def test_a_fold_that_is_not_there_is_named(tmp_path):
    folder = write_v2(tmp_path / "model")
    with refused(folder / "fold_3", "checkpoint_final.pth", hint="trained"):
        load(folder, [0, 3])
    with refused(tmp_path, "plans.json", "plans.pkl", hint="fold_0"):
        load(tmp_path)


def test_version_1_needs_the_plans_beside_its_checkpoint(tmp_path):
    folder = write_v1(tmp_path / "model")
    beside = folder / "fold_0" / "model_final_checkpoint.model.pkl"
    beside.unlink()
    with refused(beside, "no such file"):
        load(folder)


def test_weights_of_another_network_are_refused(tmp_path):
    folder = write_v2(tmp_path / "model")
    wider = {**models.ARCH_KWARGS, "features_per_stage": [4, 8]}
    fullres = models.FULLRES | {
        "architecture": {"network_class_name": models.PLAIN, "arch_kwargs": wider}
    }
    models.write_descriptions(
        folder, models.PLANS | {"configurations": {models.CONFIGURATION: fullres}}
    )
    with refused(folder / "fold_0" / "checkpoint_final.pth", "another shape", hint="width"):
        load(folder)


def test_a_checkpoint_that_names_no_configuration_is_of_the_one_in_its_folders_name(tmp_path):
    folder = write_v2(tmp_path / f"nnUNetTrainer__nnUNetPlans__{models.CONFIGURATION}")
    weights = models.random_tensors(load(folder).plans, seed=0)
    save(folder / "fold_0" / "checkpoint_final.pth", {"network_weights": weights})
    assert load(folder).plans.spacing_mm == (2.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "content", [3, {"init_args": {"configuration": models.CONFIGURATION}}, {"init_args": 1}]
)
def test_a_checkpoint_of_something_else_is_refused(content, tmp_path):
    path = write_v2(tmp_path / "model") / "fold_0" / "checkpoint_final.pth"
    save(path, content)
    with refused(path, "not understood"):
        load(tmp_path / "model")


def test_a_network_that_was_not_trained_with_mirroring_is_not_mirrored(image, tmp_path):
    with_, without = (
        load(write_v2(tmp_path / str(bool(mirrored)), mirrored=mirrored))
        for mirrored in ((0, 1, 2), None)
    )
    labels = [segment(network, [image]).array for network in (with_, without)]
    assert (labels[0] != labels[1]).any()
