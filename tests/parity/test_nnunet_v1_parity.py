"""A model folder of nnU-Net 1.7, run by its own functions and by us.

Its trainers need packages that no longer install, so the network has random weights and the folder
is written here, field by field as its planner and its trainer write it.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from core.io import nifti
from core.nnunet import predict
from core.nnunet.prepare import prepare
from core.volume import Volume

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
torch = pytest.importorskip("torch")
pytest.importorskip("nnunet")

POOLS = [[1, 2, 2], [2, 2, 2]]
KERNELS = [[1, 3, 3], [3, 3, 3], [3, 3, 3]]
PATCH = (16, 24, 24)
SPACING_MM = np.array([1.5, 1.0, 1.1])
FEATURES = 8
TRANSPOSE = [2, 0, 1]
NUM_CLASSES = 3


def plans():
    """Of two channels; W is the coarse axis of the files."""
    stage = {
        "batch_size": 2,
        "num_pool_per_axis": [1, 2, 2],
        "patch_size": np.array(PATCH),
        "median_patient_size_in_voxels": np.array([30, 30, 30]),
        "current_spacing": SPACING_MM,
        "original_spacing": SPACING_MM,
        "do_dummy_2D_data_aug": False,
        "pool_op_kernel_sizes": POOLS,
        "conv_kernel_sizes": KERNELS,
    }
    ct = {"mean": 70.0, "sd": 40.0, "percentile_00_5": -30.5, "percentile_99_5": 180.25}
    return {
        "num_stages": 1,
        "num_modalities": 2,
        "modalities": {0: "CT", 1: "MR"},
        "normalization_schemes": OrderedDict({0: "CT", 1: "nonCT"}),
        "dataset_properties": {"intensityproperties": OrderedDict({0: ct, 1: ct})},
        "num_classes": NUM_CLASSES - 1,
        "all_classes": np.arange(1, NUM_CLASSES),
        "base_num_features": FEATURES,
        "use_mask_for_norm": OrderedDict({0: False, 1: True}),
        "keep_only_largest_region": None,
        "min_region_size_per_class": None,
        "transpose_forward": TRANSPOSE,
        "transpose_backward": [1, 2, 0],
        "plans_per_stage": {0: stage},
        "preprocessor_name": "GenericPreprocessor",
        "conv_per_stage": 2,
    }


def published_network(seed: int):
    """The network of nnUNetTrainerV2, with weights drawn by it."""
    from nnunet.network_architecture.generic_UNet import Generic_UNet
    from nnunet.network_architecture.initialization import InitWeights_He
    from nnunet.utilities.nd_softmax import softmax_helper

    torch.manual_seed(seed)
    network = Generic_UNet(
        2, FEATURES, NUM_CLASSES, len(POOLS), 2, 2, torch.nn.Conv3d, torch.nn.InstanceNorm3d,
        {"eps": 1e-5, "affine": True}, torch.nn.Dropout3d, {"p": 0, "inplace": True},
        torch.nn.LeakyReLU, {"negative_slope": 1e-2, "inplace": True}, True, False, lambda x: x,
        InitWeights_He(1e-2), POOLS, KERNELS, False, True, True,
    )  # fmt: skip
    network.inference_apply_nonlin = softmax_helper
    network.do_ds = False
    return network.eval()


def write_model(folder: Path, networks) -> None:
    """Folder with a fold for each network."""
    with (folder / "plans.pkl").open("wb") as file:
        pickle.dump(plans(), file)
    for fold, network in enumerate(networks):
        path = folder / f"fold_{fold}" / "model_final_checkpoint.model"
        path.parent.mkdir()
        content = {
            "epoch": 1000,
            "state_dict": network.state_dict(),
            "optimizer_state_dict": torch.optim.SGD(network.parameters(), 0.01).state_dict(),
            "lr_scheduler_state_dict": None,
            "plot_stuff": ([np.float64(0.5)], [], [], []),
            "best_stuff": (3, np.float32(0.1), None),
        }
        # Models of its day are of the format before PyTorch 1.6.
        torch.save(content, path, _use_new_zipfile_serialization=False)
        init = ("plans.pkl", fold, str(folder), "preprocessed", True, 0, True, False, True)
        info = {"init": init, "name": "nnUNetTrainerV2", "class": "c", "plans": plans()}
        with path.with_name(f"{path.name}.pkl").open("wb") as file:
            pickle.dump(OrderedDict(info), file)


def images() -> list[Volume]:
    """Two channels with zeros around, stored in no usual order."""
    rng = np.random.default_rng(0)
    inside = np.pad(np.ones((24, 24, 18), bool), 3)
    direction = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
    spacing_mm = 1.2, 1.1, 1.7
    arrays = [np.where(inside, rng.normal(70, 50, inside.shape), 0) for _ in range(2)]
    return [Volume(a.astype(np.int16), spacing_mm, (1.0, 2.0, 3.0), direction) for a in arrays]


class Both(NamedTuple):
    """A case prepared and segmented by both sides."""

    ours: np.ndarray
    our_label: np.ndarray
    theirs: np.ndarray
    """(c, d, h, w)"""
    their_label: np.ndarray


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Both:
    root = tmp_path_factory.mktemp("v1")
    networks = [published_network(seed) for seed in range(2)]
    write_model(root, networks)
    volumes, ours = images(), predict.load(root)
    files = [nifti.write(root / f"case_{c:04d}.nii.gz", v) for c, v in enumerate(volumes)]
    image = prepare(ours.plans, volumes).image
    return Both(image, predict.segment(ours, volumes).array, *theirs_of(root, networks, files))


def theirs_of(root: Path, networks, files) -> tuple[np.ndarray, np.ndarray]:
    """As nnUNet_predict does it."""
    from nnunet.inference.segmentation_export import save_segmentation_nifti_from_softmax
    from nnunet.preprocessing.preprocessing import GenericPreprocessor

    planned = plans()
    preprocessor = GenericPreprocessor(
        planned["normalization_schemes"],
        planned["use_mask_for_norm"],
        planned["transpose_forward"],
        planned["dataset_properties"]["intensityproperties"],
    )
    names = [str(file) for file in files]
    image, _, properties = preprocessor.preprocess_test_case(names, SPACING_MM)
    probs = [
        network.predict_3D(
            image,
            do_mirroring=True,
            mirror_axes=(0, 1, 2),
            use_sliding_window=True,
            patch_size=np.array(PATCH),
            use_gaussian=True,
            mixed_precision=False,
        )[1]
        for network in networks
    ]
    mean = np.mean(probs, axis=0).transpose([0] + [a + 1 for a in planned["transpose_backward"]])
    out = root / "theirs.nii.gz"
    save_segmentation_nifti_from_softmax(mean, str(out), properties)
    return image, nifti.read_label(out).array


def test_prepared_images_are_equal(both):
    # Normalized intensities of about 1, float32 in another order of operations.
    np.testing.assert_allclose(np.moveaxis(both.ours, -1, 0), both.theirs, atol=1e-4)


def test_labels_are_equal_on_the_grid_of_the_file(both):
    assert len(np.unique(both.their_label)) > 1, "nothing to compare"
    # Rounding decides where two classes are alike.
    assert (both.our_label == both.their_label).mean() >= 0.999
