"""nnU-Net 2's own prediction of one case, and a model folder for it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

CONFIGURATION = "3d_fullres"
NUM_STAGES, NUM_CLASSES = 4, 11
SHAPE = {
    "n_stages": NUM_STAGES,
    "features_per_stage": [16 * 2**s for s in range(NUM_STAGES)],
    "kernel_sizes": [[3, 3, 3]] * NUM_STAGES,
    "strides": [[1, 1, 1], *[[2, 2, 2]] * (NUM_STAGES - 1)],
    "n_conv_per_stage": [2] * NUM_STAGES,
    "n_conv_per_stage_decoder": [2] * (NUM_STAGES - 1),
    "conv_bias": True,
    "norm_op_kwargs": {"eps": 1e-5, "affine": True},
    "nonlin_kwargs": {"inplace": True},
}
LAYERS = {
    "conv_op": torch.nn.Conv3d,
    "norm_op": torch.nn.InstanceNorm3d,
    "nonlin": torch.nn.LeakyReLU,
}


def write_model(folder: Path, *, spacing_mm: float, window: int) -> Path:
    """A fold of a CT network with what seed 0 draws: times do not depend on the weights."""
    names = {name: f"{kind.__module__}.{kind.__name__}" for name, kind in LAYERS.items()}
    resampling = {"order_z": 0, "force_separate_z": None, "is_seg": False}
    fullres = {
        "preprocessor_name": "DefaultPreprocessor",
        "patch_size": [window] * 3,
        "spacing": [spacing_mm] * 3,
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        **dict.fromkeys(
            [f"resampling_fn_{what}" for what in ("data", "seg", "probabilities")],
            "resample_data_or_seg_to_shape",
        ),
        "resampling_fn_data_kwargs": resampling | {"order": 3},
        "resampling_fn_seg_kwargs": resampling | {"order": 1, "is_seg": True},
        "resampling_fn_probabilities_kwargs": resampling | {"order": 1},
        "architecture": {
            "network_class_name": f"{PlainConvUNet.__module__}.{PlainConvUNet.__name__}",
            "arch_kwargs": SHAPE | names,
            "_kw_requires_import": list(LAYERS),
        },
    }
    foreground = {"mean": 70.0, "std": 60.0, "percentile_00_5": -100.0, "percentile_99_5": 240.0}
    plans = {
        "dataset_name": "Dataset001_Random",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "label_manager": "LabelManager",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {CONFIGURATION: fullres},
        "foreground_intensity_properties_per_channel": {"0": foreground},
    }
    labels = {"background": 0} | {f"organ {k}": k for k in range(1, NUM_CLASSES)}
    dataset = {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"}
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    torch.manual_seed(0)
    network = PlainConvUNet(1, **SHAPE, **LAYERS, num_classes=NUM_CLASSES, deep_supervision=True)
    checkpoint = {
        "network_weights": network.state_dict(),
        "init_args": {"configuration": CONFIGURATION},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }
    (folder / "fold_0").mkdir()
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
    return folder


def segmenter(folder: Path) -> Callable[[Path], np.ndarray]:
    """Label map (d, h, w) of a file."""
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(folder), None)
    reader = predictor.plans_manager.image_reader_writer_class()
    return lambda path: predictor.predict_single_npy_array(*reader.read_images([str(path)]))
