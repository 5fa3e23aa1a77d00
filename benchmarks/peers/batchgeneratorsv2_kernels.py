"""nnU-Net's augmentation by batchgeneratorsv2, as nnU-Net 2 composes it."""

import warnings
from collections.abc import Callable
from importlib import metadata
from math import pi
from typing import Any

import numpy as np
import torch

with warnings.catch_warnings():
    # Its blur wants an example image of a package that warns where it cannot keep files.
    warnings.simplefilter("ignore")
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.random import RandomTransform

NAME = (
    f"batchgeneratorsv2 {metadata.version('batchgeneratorsv2')}, PyTorch {torch.__version__}, "
    "1 thread"
)
DEGREES_30 = 30 / 360 * 2 * pi


def spatial(patch: tuple[int, ...], probability: float = 0.2) -> SpatialTransform:
    """Rotation and scale."""
    return SpatialTransform(
        patch,
        patch_center_dist_from_border=0,
        random_crop=False,
        p_rotation=probability,
        rotation=(-DEGREES_30, DEGREES_30),
        p_scaling=probability,
        scaling=(0.7, 1.4),
        p_synchronize_scaling_across_axes=1,
        border_mode_seg="constant",
        padding_value_seg=-1,
    )


def intensities() -> dict[str, tuple[float, object]]:
    """Probability and transform of each change of intensity, in nnU-Net's order, by our names."""
    each = {"synchronize_channels": False, "p_per_channel": 1}
    gamma = each | {"gamma": BGContrast((0.7, 1.5)), "p_retain_stats": 1}
    near_one = BGContrast((0.75, 1.25))
    low = {"synchronize_axes": True, "ignore_axes": None, "p_per_channel": 0.5}
    return {
        "noise": (0.1, GaussianNoiseTransform((0, 0.1), 1, synchronize_channels=True)),
        "blur": (0.2, GaussianBlurTransform((0.5, 1.0), False, False, 0.5, benchmark=True)),
        "brightness": (0.15, MultiplicativeBrightnessTransform(near_one, **each)),
        "contrast": (0.15, ContrastTransform(near_one, preserve_range=True, **each)),
        "low resolution": (0.25, SimulateLowResolutionTransform((0.5, 1), False, **low)),
        "gamma of the negative": (0.1, GammaTransform(p_invert_image=1, **gamma)),
        "gamma": (0.3, GammaTransform(p_invert_image=0, **gamma)),
    }


def routine(name: str, *args: Any) -> Callable[[], Any] | None:
    """What runs nnU-Net's augmentation of a number of batches of two; None for other routines."""
    if name != "augmentation":
        return None
    patch, num_batches, image, label, gate = args
    augment, image = Augmentation(patch), np.moveaxis(image, -1, 0).copy()

    def batches() -> list[Any]:
        # As in a worker of nnU-Net's loader.
        num_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        samples = [augment(image, label, gate) for _ in range(2 * num_batches)]
        torch.set_num_threads(num_threads)
        return samples

    return batches


class Augmentation:
    """The whole list for patches of one shape."""

    def __init__(self, patch: tuple[int, ...]) -> None:
        changes = [RandomTransform(change, p) for p, change in intensities().values()]
        self.transforms = [spatial(patch), *changes, MirrorTransform((0, 1, 2))]

    def __call__(
        self, image: np.ndarray, label: np.ndarray, gate: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image (c, d, h, w), label and gate (d, h, w) of one loaded patch to the final one."""
        sample = {
            "image": torch.from_numpy(image.copy()),
            "segmentation": torch.from_numpy(label[None]),
            "regression_target": torch.from_numpy(gate[None]),
        }
        for transform in self.transforms:
            sample = transform(**sample)
        label = sample["segmentation"][0].clamp(min=0)
        return sample["image"].numpy(), label.numpy(), sample["regression_target"][0].numpy()
