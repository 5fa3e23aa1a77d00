"""A model that nnU-Net 2 has trained itself, run by nnU-Net and by us: same folder, same files."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pytest

from core.nnunet import predict
from core.nnunet.prepare import Prepared, prepare
from core.volume import Volume

# nnU-Net asks other programs about the machine.
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore:os.fork")]
torch = pytest.importorskip("torch")
pytest.importorskip("nnunetv2")

from tests.parity import nnunetv2_training as nnunetv2  # noqa: E402

DESIGNS = {
    # Slices are far apart, so they are resampled one by one.
    "plain": nnunetv2.Design(
        channels=("CT",),
        shape=(12, 42, 40),
        spacing_mm=((4.0, 0.9, 0.9), (4.0, 1.0, 0.9), (3.5, 0.8, 0.8)),
        margin=0,
        architecture="PlainConvUNet",
        patch=(8, 32, 32),
        strides=((1, 1, 1), (1, 2, 2), (2, 2, 2)),
        folds=(0,),
    ),
    # W is the coarse axis, so axes are transposed; zeros around the body are cropped and masked.
    "residual": nnunetv2.Design(
        channels=("CT", "MR"),
        shape=(38, 34, 40),
        spacing_mm=((1.0, 1.0, 1.6), (1.1, 1.0, 1.5), (0.9, 1.1, 1.5)),
        margin=5,
        architecture="ResidualEncoderUNet",
        patch=(24, 24, 24),
        strides=((1, 1, 1), (2, 2, 2), (2, 2, 2)),
        folds=(0, 1),
    ),
}


class Both(NamedTuple):
    """A case that no training saw, prepared and segmented by both sides."""

    network: predict.NnUNet
    ours: Prepared
    our_label: Volume
    theirs: np.ndarray
    """(c, d, h, w)"""
    their_label: np.ndarray
    their_logits: np.ndarray
    """(k, d, h, w), of float32 sums"""
    true_label: np.ndarray


@pytest.fixture(scope="module", params=DESIGNS)
def both(request, tmp_path_factory) -> Both:
    design, root = DESIGNS[request.param], tmp_path_factory.mktemp(request.param)
    folder = nnunetv2.train(root, design, num_cases=5, iterations=6)
    volumes, true_label = nnunetv2.scan(design, seed=7)  # one may be MR, which is no CT to read
    files = nnunetv2.write_case(root / "new", "case", volumes)
    network = predict.load(folder)
    theirs = theirs_of(root, folder, files)
    ours = prepare(network.plans, volumes), predict.segment(network, volumes)
    return Both(network, *ours, *theirs, true_label.array)


def theirs_of(root: Path, folder: Path, files: list[Path]) -> tuple[Any, ...]:
    """Prepared image, label map and float32 logits of nnU-Net."""
    from nnunetv2.inference import predict_from_raw_data as module

    names = [str(file) for file in files]
    with nnunetv2.workplace(root):
        predictor = module.nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(folder), None)
        plans, configuration = predictor.plans_manager, predictor.configuration_manager
        image, _, _ = configuration.preprocessor_class(verbose=False).run_case(
            names, None, plans, configuration, predictor.dataset_json
        )
        read = plans.image_reader_writer_class().read_images(names)
        label = predictor.predict_single_npy_array(*read)
        in_float32 = partial(module.compute_gaussian, dtype=torch.float32)
        in_float32.cache_clear = module.compute_gaussian.cache_clear  # type: ignore[attr-defined]
        with (
            mock.patch.object(torch, "half", torch.float32),
            mock.patch.object(module, "compute_gaussian", in_float32),
        ):
            logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(image))
    return image, label, logits.numpy()


def test_prepared_images_are_equal(both):
    # Normalized intensities of about 1, float32 in another order of operations.
    np.testing.assert_allclose(np.moveaxis(both.ours.image, -1, 0), both.theirs, atol=1e-4)


def test_labels_are_equal_on_the_grid_of_the_file(both):
    assert len(np.unique(both.their_label)) > 1, "the training learned nothing to compare"
    # nnU-Net sums windows in half precision, which decides where two classes are nearly alike.
    assert (both.our_label.array == both.their_label).mean() >= 0.999


def test_labels_lie_where_the_objects_are(both):
    organ = both.our_label.array == 1
    assert (both.true_label[organ] > 0).mean() > 0.5


def test_logits_are_equal_where_nnunet_sums_in_float32(both):
    sums = np.zeros((*both.ours.image.shape[:3], 3), np.float32)
    for variables in both.network.folds:
        sums += np.log(both.network.predict(variables, both.ours.image, fill=0.0))
    centered = (sums - sums.mean(-1, keepdims=True)) / len(both.network.folds)
    theirs = np.moveaxis(both.their_logits, 0, -1)
    # Logits of about 5 through ten layers in float32, and a softmax and its logarithm.
    np.testing.assert_allclose(centered, theirs - theirs.mean(-1, keepdims=True), atol=2e-4)
