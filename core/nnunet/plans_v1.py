"""Plans of nnU-Net 1.7 and before, as a checkpoint keeps them in the `.pkl` beside it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets.case import label_ids
from core.json_io import read_json
from core.nn.unet import Axes, UNetPlan
from core.nnunet.plans import (
    Channel,
    Plans,
    axes,
    intensities,
    require,
    require_three_axes,
    scheme,
    spacing,
    understood,
)

SCHEMES = {"CT": "CT", "nonCT": "z-score", "noNorm": "none"}
MAX_FEATURES = 320
OTHER_NETWORKS = re.compile("BN|GN|FRN|NoNormalization|ReLU|GeLU|Mish|Resenc|MMS")
"""Trainers whose networks have other layers; some under the same names, so weights do not tell."""
OTHER_TASKS = re.compile("Cascade|Regions|resample33")
WITHOUT_MIRRORING = re.compile("noMirroring|noDA")
EXPORT = {"force_separate_z": None, "interpolation_order": 1, "interpolation_order_z": 0}


def read(info: Mapping[str, Any], path: Path) -> Plans:
    """Plans of a checkpoint.

    nnU-Net 1 does not name the classes there; where somebody has put the data set's `dataset.json`
    into the model folder the names are of that, else they are the ids.

    Args:
      info: content of `model_final_checkpoint.model.pkl`.
      path: that file, in a fold of the model folder.

    Raises:
      InputError: the model is none that can be run.
    """
    with understood(path):
        trainer, plans = info["name"], info["plans"]
        for others in (OTHER_NETWORKS, OTHER_TASKS):
            require(not others.search(trainer), f"was trained by {trainer}", path)
        stage = plans["plans_per_stage"][_stage(info)]
        require_three_axes(stage["patch_size"], path)
        preprocessor = plans.get("preprocessor_name", "GenericPreprocessor")
        require(preprocessor == "GenericPreprocessor", f"is prepared by {preprocessor}", path)
        export = plans.get("segmentation_export_params", EXPORT)
        require(export == EXPORT, f"resamples probabilities by {export}", path)
        return Plans(
            version=1,
            network=_network(plans, stage),
            patch=axes(stage["patch_size"]),
            spacing_mm=spacing(stage["current_spacing"]),
            channels=_channels(plans, path),
            labels=_labels(plans, path.parents[1] / "dataset.json"),
            transpose=axes(plans.get("transpose_forward", (0, 1, 2))),
        )


def mirrored(info: Mapping[str, Any]) -> tuple[int, ...]:
    """Axes that the training mirrored."""
    return () if WITHOUT_MIRRORING.search(str(info.get("name"))) else (0, 1, 2)


def _stage(info: Mapping[str, Any]) -> int:
    """Which of the plans' resolutions was trained, the sixth argument of its trainer."""
    init, stages = info["init"], info["plans"]["plans_per_stage"]
    # A parallel training has its rank among them.
    at = 6 if "DDP" in info["name"] else 5
    stage = init[at] if len(init) > at else None
    return max(stages) if stage is None else int(stage)


def _network(plans: Mapping[str, Any], stage: Mapping[str, Any]) -> UNetPlan:
    pools = [axes(pool) for pool in stage.get("pool_op_kernel_sizes", _pools(stage))]
    num = len(pools) + 1
    kernels = stage.get("conv_kernel_sizes", [(3, 3, 3)] * num)
    kernels = tuple(axes(kernel) for kernel in kernels)
    first, units = int(plans["base_num_features"]), int(plans.get("conv_per_stage", 2))
    return UNetPlan(
        features=tuple(min(first * 2**s, MAX_FEATURES) for s in range(num)),
        strides=((1, 1, 1), *pools),
        kernels=kernels,
        encoder_units=(units,) * num,
        decoder_units=(units,) * (num - 1),
        decoder_kernels=kernels[1:],
    )


def _pools(stage: Mapping[str, Any]) -> list[Axes]:
    """Poolings of old plans, which only count them: an axis with fewer begins later."""
    counts = [int(n) for n in stage["num_pool_per_axis"]]
    late = [max(counts) - n for n in counts]
    return [axes(2 if i >= n else 1 for n in late) for i in range(max(counts))]


def _channels(plans: Mapping[str, Any], path: Path) -> tuple[Channel, ...]:
    of_foreground = plans["dataset_properties"].get("intensityproperties")
    schemes = [scheme(theirs, SCHEMES, path) for _, theirs in sorted(_items(plans))]
    return tuple(
        Channel(
            str(plans["modalities"][c]),
            ours,
            bool(plans["use_mask_for_norm"][c]) and ours != "none",
            intensities(of_foreground[c], "sd") if ours == "CT" else None,
        )
        for c, ours in enumerate(schemes)
    )


def _items(plans: Mapping[str, Any]) -> list[tuple[int, str]]:
    return [(int(c), str(name)) for c, name in plans["normalization_schemes"].items()]


def _labels(plans: Mapping[str, Any], path: Path) -> dict[str, int]:
    ids = [0, *(int(id_) for id_ in np.asarray(plans["all_classes"]))]
    if not path.is_file():
        return {"background" if id_ == 0 else str(id_): id_ for id_ in ids}
    labels = label_ids(read_json(path).get("labels"), path)
    if sorted(labels.values()) != ids:
        raise ValueError(f"{path.name} has labels {labels}, the network {ids}")
    return labels
