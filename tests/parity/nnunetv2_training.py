"""A small model that nnU-Net 2 plans, prepares and trains itself, in this process, in seconds."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import torch

from core.io import nifti
from core.volume import Volume

DATASET = "Dataset001_Spheres"
CONFIGURATION = "3d_fullres"
LABELS = {"background": 0, "organ": 1, "lesion": 2}


@dataclass(frozen=True)
class Design:
    """A data set and a network for it.

    Args:
      channels: names, by which nnU-Net chooses the normalization.
      shape: voxels of a scan.
      spacing_mm: of the scans, one after the other.
      margin: voxels of zeros on each side of a scan.
      architecture: class of the network.
      patch: voxels of a window, in the order in which the network sees the axes.
      strides: of the stages.
      folds: that are trained.
    """

    channels: tuple[str, ...]
    shape: tuple[int, int, int]
    spacing_mm: tuple[tuple[float, float, float], ...]
    margin: int
    architecture: str
    patch: tuple[int, int, int]
    strides: tuple[tuple[int, int, int], ...]
    folds: tuple[int, ...]


def scan(design: Design, seed: int) -> tuple[list[Volume], Volume]:
    """Images and label of a round organ with a lesion in it, stored in no usual order."""
    rng = np.random.default_rng(seed)
    spacing_mm = design.spacing_mm[seed % len(design.spacing_mm)]
    grid = np.stack(np.meshgrid(*map(np.arange, design.shape), indexing="ij"), -1) * spacing_mm
    size = np.array(design.shape) * spacing_mm
    center = size * rng.uniform(0.4, 0.6, 3)
    label = np.zeros(design.shape, np.uint8)
    for id_, radius, shift in ((1, 0.28, 0.0), (2, 0.14, 0.06)):
        distance = np.linalg.norm((grid - center - shift * size) / size.min(), axis=-1)
        label[distance < radius * rng.uniform(0.9, 1.1)] = id_
    inside = np.pad(np.ones([n - 2 * design.margin for n in design.shape], bool), design.margin)
    images = [
        np.where(inside, rng.normal(np.choose(label, levels), 12.0), 0).astype(np.int16)
        for levels in ((-40, 60, 160), (120, 220, 90))
    ]
    # D runs to the feet, H to the left and W to the front.
    direction = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
    placed = Volume(label, spacing_mm, (10.0, -20.0, 30.0), direction)
    return [placed.with_array(i) for i in images[: len(design.channels)]], placed


def write_case(folder: Path, name: str, images: list[Volume]) -> list[Path]:
    """Files of a case as nnU-Net wants them named."""
    return [nifti.write(folder / f"{name}_{c:04d}.nii.gz", v) for c, v in enumerate(images)]


@contextmanager
def workplace(root: Path) -> Iterator[None]:
    """nnU-Net's folders below `root`, and its work in this process instead of new ones."""
    folders = {f"nnUNet_{name}": str(root / name) for name in ("raw", "preprocessed", "results")}
    serial = {"nnUNet_compile": "false"}
    threads = SimpleNamespace(Pool=ThreadPool)
    with (
        mock.patch.dict(os.environ, folders | serial),
        mock.patch("multiprocessing.get_context", return_value=threads),
    ):
        yield


def train(root: Path, design: Design, *, num_cases: int, iterations: int) -> Path:
    """Folder of a trained model."""
    raw = root / "raw" / DATASET
    for kind in ("imagesTr", "labelsTr"):
        (raw / kind).mkdir(parents=True)
    for seed in range(num_cases):
        images, label = scan(design, seed)
        write_case(raw / "imagesTr", f"case_{seed}", images)
        nifti.write(raw / "labelsTr" / f"case_{seed}.nii.gz", label)
    description = {
        "channel_names": {str(c): name for c, name in enumerate(design.channels)},
        "labels": LABELS,
        "numTraining": num_cases,
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(description))
    with workplace(root):
        plans = _plan(root, design)
        for fold in design.folds:
            _train_fold(plans, description, fold, iterations)
    return root / "results" / DATASET / f"nnUNetTrainer__nnUNetPlans__{CONFIGURATION}"


def _plan(root: Path, design: Design) -> dict:
    """nnU-Net's plans with a smaller network, and the data prepared by them."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
    )
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor

    extract_fingerprints([1], num_processes=1, show_progress_bar=False)
    identifier = plan_experiments([1])
    path = root / "preprocessed" / DATASET / f"{identifier}.json"
    plans = json.loads(path.read_text())
    configuration = plans["configurations"][CONFIGURATION]
    configuration |= {"patch_size": design.patch, "batch_size": 2}
    configuration["architecture"] = _architecture(design, configuration["architecture"])
    path.write_text(json.dumps(plans))
    preprocessor = DefaultPreprocessor(verbose=False)
    preprocessor.show_progress_bar = False
    preprocessor.run(1, CONFIGURATION, identifier, num_processes=1)
    return plans


def _architecture(design: Design, planned: Mapping) -> dict:
    num = len(design.strides)
    units = {"PlainConvUNet": "n_conv_per_stage", "ResidualEncoderUNet": "n_blocks_per_stage"}
    layers = ("conv_op", "conv_bias", "norm_op", "norm_op_kwargs", "dropout_op")
    layers += ("dropout_op_kwargs", "nonlin", "nonlin_kwargs")
    kwargs = {name: planned["arch_kwargs"][name] for name in layers} | {
        "n_stages": num,
        "features_per_stage": [8 * 2**s for s in range(num)],
        "kernel_sizes": [[1, 3, 3], *[[3, 3, 3]] * (num - 1)],
        "strides": design.strides,
        units[design.architecture]: [2] * num,
        "n_conv_per_stage_decoder": [1] * (num - 1),
    }
    name = f"dynamic_network_architectures.architectures.unet.{design.architecture}"
    return dict(planned) | {"network_class_name": name, "arch_kwargs": kwargs}


def _train_fold(plans: dict, description: dict, fold: int, iterations: int) -> None:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    torch.manual_seed(fold)
    np.random.seed(fold)  # noqa: NPY002 (batchgenerators draws from it)
    trainer = nnUNetTrainer(
        plans | {"continue_training": False},
        CONFIGURATION,
        fold,
        description,
        device=torch.device("cpu"),
    )
    trainer.num_epochs, trainer.num_val_iterations_per_epoch = 1, 1
    trainer.num_iterations_per_epoch = iterations
    with mock.patch.dict(os.environ, {"nnUNet_n_proc_DA": "0"}):
        trainer.run_training()
