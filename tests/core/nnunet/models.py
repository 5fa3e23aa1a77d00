"""Model folders of nnU-Net, written by hand."""

import json
import pickle
from collections import OrderedDict
from pathlib import Path

import jax
import numpy as np

from core.nn import nnunet_names, torch_weights
from core.nnunet import plans_v1, plans_v2, predict
from core.nnunet.plans import Plans
from tests.core.nnunet.torch_writer import Tensor, save

CONFIGURATION = "3d_fullres"
STRIDES = [[1, 1, 1], [1, 2, 2]]
KERNELS = [[1, 3, 3], [3, 3, 3]]
ARCH_KWARGS = {
    "n_stages": 2,
    "features_per_stage": [4, 6],
    "conv_op": "torch.nn.modules.conv.Conv3d",
    "kernel_sizes": KERNELS,
    "strides": STRIDES,
    "n_conv_per_stage": [2, 1],
    "n_conv_per_stage_decoder": [1],
    "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
    "norm_op_kwargs": {"eps": 1e-05, "affine": True},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}
PLAIN = "dynamic_network_architectures.architectures.unet.PlainConvUNet"
FULLRES = {
    "preprocessor_name": "DefaultPreprocessor",
    "patch_size": [8, 8, 8],
    "spacing": [2.0, 1.0, 1.0],
    "normalization_schemes": ["CTNormalization"],
    "use_mask_for_norm": [False],
    "resampling_fn_data": "resample_data_or_seg_to_shape",
    "resampling_fn_data_kwargs": {"order": 3, "order_z": 0, "force_separate_z": None},
    "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
    "resampling_fn_probabilities_kwargs": {"order": 1, "order_z": 0, "force_separate_z": None},
    "architecture": {"network_class_name": PLAIN, "arch_kwargs": ARCH_KWARGS},
}
FOREGROUND = {"percentile_00_5": -50.0, "percentile_99_5": 150.0, "mean": 40.0, "std": 60.0}
PLANS = {
    "image_reader_writer": "SimpleITKIO",
    "transpose_forward": [0, 1, 2],
    "configurations": {CONFIGURATION: FULLRES},
    "foreground_intensity_properties_per_channel": {"0": FOREGROUND},
}
DATASET = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "pancreas": 1, "tumor": 2}}

STAGE_V1 = {
    "patch_size": np.array([8, 8, 8]),
    "current_spacing": np.array([2.0, 1.0, 1.0]),
    "num_pool_per_axis": [0, 1, 1],
    "pool_op_kernel_sizes": STRIDES[1:],
    "conv_kernel_sizes": KERNELS,
}
FOREGROUND_V1 = {**FOREGROUND, "sd": FOREGROUND["std"]}
PLANS_V1 = {
    "modalities": {0: "CT"},
    "normalization_schemes": OrderedDict({0: "CT"}),
    "use_mask_for_norm": OrderedDict({0: False}),
    "dataset_properties": {"intensityproperties": {0: FOREGROUND_V1}},
    "all_classes": [1, 2],
    "base_num_features": 4,
    "transpose_forward": [0, 1, 2],
    "plans_per_stage": {0: STAGE_V1},
    "preprocessor_name": "GenericPreprocessor",
}


def info_v1(plans=PLANS_V1, trainer="nnUNetTrainerV2", stage=0):
    """What version 1 writes beside a checkpoint."""
    init = ("plans.pkl", 0, "out", "preprocessed", True, stage, True, False, True)
    return {"init": init, "name": trainer, "class": "c", "plans": plans}


def write_descriptions(folder: Path, plans=PLANS, dataset=DATASET) -> Path:
    """`plans.json` and `dataset.json` of version 2."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return folder


def write_v2(folder: Path, *, folds=("0",), mirrored=(0, 1, 2), plans=PLANS) -> Path:
    """A model folder of version 2 with random weights."""
    write_descriptions(folder, plans)
    for fold in folds:
        content = {
            "network_weights": random_tensors(plans_v2.read(folder, CONFIGURATION), len(fold)),
            "init_args": {"configuration": CONFIGURATION},
            "inference_allowed_mirroring_axes": mirrored,
        }
        (folder / f"fold_{fold}").mkdir()
        save(folder / f"fold_{fold}" / "checkpoint_final.pth", content)
    return folder


def write_v1(folder: Path, *, folds=("fold_0",), trainer="nnUNetTrainerV2") -> Path:
    """A model folder of version 1 with random weights."""
    folder.mkdir(exist_ok=True)
    (folder / "plans.pkl").write_bytes(pickle.dumps(PLANS_V1))
    for fold in folds:
        path = folder / fold / "model_final_checkpoint.model"
        path.parent.mkdir()
        path.with_name(f"{path.name}.pkl").write_bytes(pickle.dumps(info_v1(trainer=trainer)))
        plans = plans_v1.read(info_v1(), path)
        save(path, {"state_dict": random_tensors(plans, len(fold))})
    return folder


def random_tensors(plans: Plans, seed: int) -> dict[str, Tensor]:
    """Weights by their names in a checkpoint, with the second names of version 2."""
    _, template = predict.network_of(plans)
    rng = np.random.default_rng(seed)

    def drawn(path, leaf):
        # Small biases and heads that compare their channels, or one class would win everywhere.
        spread = 0.1 if path[-1].key == "bias" else 1.0
        array = rng.normal(0, spread, leaf.shape).astype(np.float32)
        is_head = path[1].key == "heads" and path[-1].key == "kernel"
        return array - array.mean(-2, keepdims=True) if is_head else array

    tree = jax.tree.map_with_path(drawn, template)
    named = torch_weights.export(tree, nnunet_names.names(plans.network, plans.version))
    # Mirrored and turned once more, transposed convolutions are as PyTorch has them.
    tensors = {
        name: Tensor(array.copy("C"))
        for name, array in nnunet_names.without_duplicates(named).items()
    }
    if plans.version == 2:
        for name, tensor in list(tensors.items()):
            if name.startswith("encoder."):
                tensors[f"decoder.{name}"] = tensor
    return tensors
